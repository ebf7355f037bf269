// Names of classes for people and for files: Python's type(x).__name__.
#pragma once

#include <string>
#include <typeinfo>

namespace lctl {

// "EarlyStopping" for lctl::EarlyStopping: no namespaces, no template arguments. Any thread.
std::string class_name_of(const std::type_info& type);

}  // namespace lctl
