#include "jobspec/overrides.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "jobspec/yaml_reader.h"

namespace lctl::jobspec {
namespace {

constexpr std::size_t kMaxParts = 64;
constexpr std::string_view kClassSections[] = {"model", "data", "optimizer", "lr_scheduler"};
// Keys that stand beside init_args, not in it.
constexpr std::string_view kClassKeys[] = {"class_path", "init_args", "interval", "frequency",
                                           "monitor",    "strict",    "name"};

struct Override {
  std::string key;  // the path as written
  std::vector<std::string> parts;
  Value value;
  bool append = false;
};

bool is_class_section(std::string_view name) {
  return std::find(std::begin(kClassSections), std::end(kClassSections), name) !=
         std::end(kClassSections);
}

bool is_class_key(std::string_view section, std::string_view name) {
  // `name` and the like belong to lr_scheduler alone.
  const auto end = section == "lr_scheduler" ? std::end(kClassKeys) : std::begin(kClassKeys) + 2;
  return std::find(std::begin(kClassKeys), end, name) != end;
}

std::vector<std::string> split(const std::string& path) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (true) {
    const std::size_t dot = path.find('.', at);
    parts.push_back(path.substr(at, dot - at));
    if (dot == std::string::npos) return parts;
    at = dot + 1;
  }
}

std::optional<Override> read_override(const std::string& text, Findings& findings) {
  const auto source = std::make_shared<const std::string>(text);
  const Location where{source, 0, 0};
  std::string_view rest = text;
  if (rest.starts_with("--")) rest.remove_prefix(2);
  const std::size_t equals = rest.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    findings.add(where, "", "an override has the form --key.path=VALUE");
    return std::nullopt;
  }
  Override result;
  std::string_view path = rest.substr(0, equals);
  if (path.ends_with('+')) {
    result.append = true;
    path.remove_suffix(1);
  }
  result.key = std::string(path);
  result.parts = split(result.key);
  const bool empty_part = std::any_of(result.parts.begin(), result.parts.end(),
                                      [](const std::string& part) { return part.empty(); });
  if (empty_part || result.parts.size() > kMaxParts) {
    findings.add(where, result.key, "is no key path", "expected names joined by dots");
    return std::nullopt;
  }
  std::optional<Value> value = read_yaml(rest.substr(equals + 1), source, false, findings);
  if (!value.has_value()) return std::nullopt;
  result.value = *std::move(value);
  // The short forms of class sections become the long ones.
  if (is_class_section(result.parts[0])) {
    if (result.parts.size() == 1 && result.value.is_string()) {
      result.parts.emplace_back("class_path");
    } else if (result.parts.size() > 1 && !is_class_key(result.parts[0], result.parts[1])) {
      result.parts.insert(result.parts.begin() + 1, "init_args");
    }
  }
  return result;
}

// The element that `part` names; made in maps when absent. Null (with a finding) when there is no
// such place.
Value* descend(Value& parent, const std::string& part, const Override& change, Findings& findings) {
  const Location& where = change.value.location();
  if (parent.is_list()) {
    std::size_t index = 0;
    const char* end = part.data() + part.size();
    const auto [stop, error] = std::from_chars(part.data(), end, index);
    if (error != std::errc() || stop != end || index >= parent.list().size()) {
      findings.add(where, change.key,
                   fmt::format("`{}` is no element of a list of {}", part, parent.list().size()),
                   "expected an index from 0, or += to append");
      return nullptr;
    }
    return &parent.list()[index];
  }
  // What was nothing, or a class named by its text alone, becomes a map.
  if (parent.is_null()) parent = Value::empty_map(where);
  if (parent.is_string() && (part == "init_args" || part == "class_path")) {
    Value map = Value::empty_map(parent.location());
    map.set("class_path", std::move(parent));
    parent = std::move(map);
  }
  if (!parent.is_map()) {
    findings.add(
        where, change.key,
        fmt::format("there is nothing below a {} (`{}`)", parent.kind_name(), parent.preview()));
    return nullptr;
  }
  if (parent.find(part) == nullptr) parent.set(part, Value::null(where));
  return parent.find(part);
}

void apply(Override change, Value& tree, Findings& findings) {
  Value* target = &tree;
  for (const std::string& part : change.parts) {
    target = descend(*target, part, change, findings);
    if (target == nullptr) return;
  }
  // Another class makes the arguments of the old one meaningless.
  if (change.parts.size() == 2 && change.parts[1] == "class_path" &&
      is_class_section(change.parts[0]) && !(*target == change.value) && !target->is_null()) {
    tree.find(change.parts[0])->erase("init_args");
    target = tree.find(change.parts[0])->find("class_path");
  }
  if (!change.append) {
    *target = std::move(change.value);
    return;
  }
  if (target->is_null()) *target = Value(Value::List{}, change.value.location());
  if (!target->is_list()) {
    Value::List one;
    one.push_back(std::move(*target));
    *target = Value(std::move(one), change.value.location());
  }
  if (change.value.is_list()) {
    for (Value& item : change.value.list()) target->list().push_back(std::move(item));
  } else {
    target->list().push_back(std::move(change.value));
  }
}

}  // namespace

void apply_overrides(const std::vector<std::string>& overrides, Value& tree, Findings& findings) {
  for (const std::string& text : overrides) {
    if (std::optional<Override> change = read_override(text, findings))
      apply(*std::move(change), tree, findings);
  }
}

}  // namespace lctl::jobspec
