#include "worker/trainer/optim/lr_scheduler/state_fields.h"

namespace lctl {

using checkpoint::Dict;
using checkpoint::List;
using checkpoint::Value;

void StateFields::field(std::string_view name, bool& value) {
  if (to_ != nullptr) return to_->set(name, value);
  if (const Value* saved = from_->find(name)) value = saved->as_bool();
}

void StateFields::field(std::string_view name, std::int64_t& value) {
  if (to_ != nullptr) return to_->set(name, value);
  if (const Value* saved = from_->find(name)) value = saved->as_int();
}

void StateFields::field(std::string_view name, double& value) {
  if (to_ != nullptr) return to_->set(name, value);
  if (const Value* saved = from_->find(name)) value = saved->as_double();
}

void StateFields::field(std::string_view name, std::string& value) {
  if (to_ != nullptr) return to_->set(name, value);
  if (const Value* saved = from_->find(name)) value = saved->as_string();
}

void StateFields::field(std::string_view name, std::vector<double>& values) {
  if (to_ != nullptr) return to_->set(name, List(values.begin(), values.end()));
  const Value* saved = from_->find(name);
  if (saved == nullptr) return;
  values.clear();
  for (const Value& item : saved->as_list()) values.push_back(item.as_double());
}

void StateFields::field(std::string_view name, std::vector<std::int64_t>& values) {
  if (to_ != nullptr) return to_->set(name, List(values.begin(), values.end()));
  const Value* saved = from_->find(name);
  if (saved == nullptr) return;
  values.clear();
  for (const Value& item : saved->as_list()) values.push_back(item.as_int());
}

void StateFields::field(std::string_view name, std::map<std::int64_t, std::int64_t>& counts) {
  if (to_ != nullptr) {
    Dict dict;
    for (const auto& [key, count] : counts) dict.set(key, count);
    return to_->set(name, std::move(dict));
  }
  const Value* saved = from_->find(name);
  if (saved == nullptr) return;
  counts.clear();
  for (const auto& [key, count] : saved->as_dict().entries()) counts[key.as_int()] = count.as_int();
}

void StateFields::constant(std::string_view name, Value value) {
  if (to_ != nullptr) to_->set(name, std::move(value));
}

}  // namespace lctl
