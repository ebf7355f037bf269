#include "jobspec/arguments.h"

#include <map>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "jobspec/checks.h"
#include "jobspec/yaml_reader.h"

namespace lctl::jobspec {

Arguments::Arguments(const keys::Class& table, Value given)
    : table_(&table), given_(std::move(given)) {
  std::erase_if(given_.map(), [this](const Value::Entry& entry) {
    const keys::Argument* argument = table_->find(entry.key);
    LCTL_CHECK(argument != nullptr, "arguments are checked before they are kept");
    return entry.value.is_null() && !is_nullable(*argument);
  });
}

bool Arguments::has(std::string_view name) const { return given_.find(name) != nullptr; }

const Value& Arguments::get(std::string_view name) const {
  if (const Value* value = given_.find(name)) return *value;
  LCTL_CHECK(table_ != nullptr, "arguments of no class hold nothing");
  const keys::Argument* argument = table_->find(name);
  LCTL_CHECK(argument != nullptr, "the key table has every argument that code asks for");
  return default_value(*argument);
}

std::optional<bool> Arguments::get_optional_bool(std::string_view name) const {
  const Value& value = get(name);
  return value.is_null() ? std::nullopt : std::optional(value.as_bool());
}

std::optional<std::int64_t> Arguments::get_optional_int(std::string_view name) const {
  const Value& value = get(name);
  return value.is_null() ? std::nullopt : std::optional(value.as_int());
}

std::optional<double> Arguments::get_optional_double(std::string_view name) const {
  const Value& value = get(name);
  return value.is_null() ? std::nullopt : std::optional(value.as_double());
}

std::optional<std::string> Arguments::get_optional_string(std::string_view name) const {
  const Value& value = get(name);
  return value.is_null() ? std::nullopt : std::optional(value.as_string());
}

std::vector<std::int64_t> Arguments::get_ints(std::string_view name) const {
  const Value& value = get(name);
  if (value.is_int()) return {value.as_int()};
  std::vector<std::int64_t> out;
  for (const Value& item : value.list()) out.push_back(item.as_int());
  return out;
}

std::vector<double> Arguments::get_doubles(std::string_view name) const {
  const Value& value = get(name);
  if (value.is_number()) return {value.as_double()};
  std::vector<double> out;
  for (const Value& item : value.list()) out.push_back(item.as_double());
  return out;
}

const Value& default_value(const keys::Argument& argument) {
  static std::mutex mutex;
  static std::map<std::string_view, Value, std::less<>> defaults;  // by their text
  LCTL_CHECK(argument.fallback != keys::kRequired, "a required argument is given");
  const std::lock_guard lock(mutex);
  const auto known = defaults.find(argument.fallback);
  if (known != defaults.end()) return known->second;
  Findings findings;
  std::optional<Value> value = read_yaml(argument.fallback, nullptr, false, findings);
  LCTL_CHECK(value.has_value(), "defaults of the key table are YAML");
  return defaults.emplace(argument.fallback, *std::move(value)).first->second;
}

}  // namespace lctl::jobspec
