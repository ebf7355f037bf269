#include "worker/trainer/models/plain_value.h"

namespace lctl {

checkpoint::Value plain_value(const jobspec::Value& value) {
  if (value.is_bool()) return value.as_bool();
  if (value.is_int()) return value.as_int();
  if (value.is_float()) return value.as_double();
  if (value.is_string()) return value.as_string();
  if (value.is_list()) {
    checkpoint::List list;
    for (const jobspec::Value& item : value.list()) list.push_back(plain_value(item));
    return list;
  }
  if (value.is_map()) {
    checkpoint::Dict dict;
    for (const auto& entry : value.map()) dict.set(entry.key, plain_value(entry.value));
    return dict;
  }
  return checkpoint::None{};
}

}  // namespace lctl
