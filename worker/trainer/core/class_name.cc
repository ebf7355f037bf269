#include "worker/trainer/core/class_name.h"

#include <c10/util/Type.h>

namespace lctl {

std::string class_name_of(const std::type_info& type) {
  std::string name = c10::demangle(type.name());
  name.resize(std::min(name.find('<'), name.size()));
  if (const auto colon = name.rfind(':'); colon != std::string::npos) name.erase(0, colon + 1);
  return name;
}

}  // namespace lctl
