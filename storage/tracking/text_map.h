// Small maps of texts in one column: JSON objects.
#pragma once

#include <string>
#include <string_view>

#include "storage/jobs/label_change.h"

namespace lctl::storage {

// Bytes that are not UTF-8 are replaced.
std::string pack_map(const Tags& map);

// What pack_map() has made; what cannot be read is left out.
Tags unpack_map(std::string_view json);

}  // namespace lctl::storage
