#include "jobspec/overrides.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "base/utf8.h"
#include "jobspec/characters.h"
#include "jobspec/keys/key_table.h"
#include "jobspec/yaml_reader.h"

namespace lctl::jobspec {
namespace {

using keys::Kind;
using Path = std::span<const std::string>;

constexpr std::size_t kMaxParts = 64;
constexpr std::size_t kShownBytes = 200;  // of an override, as the place of a finding

struct Override {
  std::string key;                 // the path as written
  std::vector<std::string> parts;  // the path, short forms made long on the way
  Value value;
  bool append = false;
};

std::optional<std::size_t> index_of(std::string_view part) {
  std::size_t index = 0;
  const char* end = part.data() + part.size();
  const auto [stop, error] = std::from_chars(part.data(), end, index);
  return error == std::errc() && stop == end ? std::optional(index) : std::nullopt;
}

bool is_class_list(Path path) {
  return path.size() == 2 && path[0] == "trainer" &&
         (path[1] == "callbacks" || path[1] == "logger");
}

// The kind of class whose entry stands at `path`; a list of classes is none.
std::optional<Kind> kind_at(Path path, const Value& node) {
  if (path.size() == 1) {
    if (path[0] == "model") return Kind::kModel;
    if (path[0] == "data") return Kind::kData;
    if (path[0] == "optimizer") return Kind::kOptimizer;
    if (path[0] == "lr_scheduler") return Kind::kLrScheduler;
    return std::nullopt;
  }
  if (path.size() == 2 && path[0] == "trainer" && path[1] == "profiler") return Kind::kProfiler;
  const bool in_list =
      path.size() == 3 && is_class_list(path.first(2)) && index_of(path[2]).has_value();
  if (!in_list && !(is_class_list(path) && !node.is_list())) return std::nullopt;
  return path[1] == "callbacks" ? Kind::kCallback : Kind::kLogger;
}

// Keys that stand beside init_args, not in it.
bool is_entry_key(Kind kind, std::string_view name) {
  if (name == "class_path" || name == "init_args") return true;
  return kind == Kind::kLrScheduler && keys::section("lr_scheduler").find(name) != nullptr;
}

// Names the class of an entry. Arguments of the old class stay as far as the new one has them.
void set_class(Kind kind, Value& entry, Value name) {
  if (!entry.is_map()) entry = Value::empty_map(name.location());
  const keys::Class* table = name.is_string() ? keys::find_class(kind, name.as_string()) : nullptr;
  Value* arguments = entry.find("init_args");
  if (table != nullptr && arguments != nullptr && arguments->is_map()) {
    std::erase_if(arguments->map(), [table](const Value::Entry& argument) {
      return table->find(argument.key) == nullptr;
    });
  }
  entry.set("class_path", std::move(name));
}

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    parts.emplace_back(path.substr(0, dot));
    if (dot == path.size()) return parts;
    path.remove_prefix(dot + 1);
  }
}

// What a job file could have as a key too.
bool is_key(const std::string& part) {
  return !part.empty() && part.size() <= ReadLimits().key_bytes && is_utf8(part) &&
         std::none_of(part.begin(), part.end(), is_control);
}

std::optional<Override> read_override(const std::string& text, Findings& findings) {
  const auto source = std::make_shared<const std::string>(Value(text).preview(kShownBytes));
  const Location where{source, 0, 0};
  std::string_view rest = text;
  if (rest.starts_with("--")) rest.remove_prefix(2);
  const std::size_t equals = rest.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    findings.add(where, "", "an override has the form --key.path=VALUE");
    return std::nullopt;
  }
  Override change;
  std::string_view path = rest.substr(0, equals);
  if (path.ends_with('+')) {
    change.append = true;
    path.remove_suffix(1);
  }
  change.key = std::string(path);
  change.parts = split(path);
  if (change.parts.size() > kMaxParts ||
      !std::all_of(change.parts.begin(), change.parts.end(), is_key)) {
    findings.add(where, "", "is no key path",
                 fmt::format("expected at most {} names joined by dots", kMaxParts));
    return std::nullopt;
  }
  Findings in_value;
  std::optional<Value> value = read_yaml(rest.substr(equals + 1), source, false, in_value);
  for (SpecError error : in_value.errors()) {
    error.key = error.key.empty() ? change.key : join_key(change.key, error.key);
    findings.add(std::move(error));
  }
  if (!value.has_value()) return std::nullopt;
  change.value = value->is_null() ? Value::null(where) : *std::move(value);
  return change;
}

// Makes the short form at `at` long, so that parts[at] is a key or an index of `node` itself.
void expand_short_form(Override& change, std::size_t at, Value& node) {
  const Path path(change.parts.data(), at);
  const bool by_index = index_of(change.parts[at]).has_value();
  if (is_class_list(path)) {
    if (!node.is_list() && by_index && !node.is_null()) {
      Value::List one;
      one.push_back(std::move(node));
      node = Value(std::move(one), change.value.location());
    }
    if (node.is_list() && !by_index && !node.list().empty()) {
      const std::string last = std::to_string(node.list().size() - 1);
      change.parts.insert(change.parts.begin() + static_cast<std::ptrdiff_t>(at), last);
      return;
    }
  }
  const std::optional<Kind> kind = kind_at(path, node);
  if (!kind.has_value() || by_index) return;
  if (node.is_string()) {
    Value name = std::exchange(node, Value::empty_map(node.location()));
    node.set("class_path", std::move(name));
  }
  if (!is_entry_key(*kind, change.parts[at])) {
    change.parts.insert(change.parts.begin() + static_cast<std::ptrdiff_t>(at), "init_args");
  }
}

// The element of `parent` that `part` names; made in maps when absent. Null (with a finding) when
// there is no such place.
Value* descend(Value& parent, const std::string& part, const Override& change, Findings& findings) {
  const Location& where = change.value.location();
  if (parent.is_list()) {
    const std::optional<std::size_t> index = index_of(part);
    if (!index.has_value() || *index >= parent.list().size()) {
      findings.add(where, change.key,
                   fmt::format("`{}` is no element of a list of {}", part, parent.list().size()),
                   "expected an index from 0, or += to append");
      return nullptr;
    }
    return &parent.list()[*index];
  }
  if (parent.is_null()) parent = Value::empty_map(where);
  if (!parent.is_map()) {
    findings.add(
        where, change.key,
        fmt::format("there is nothing below a {} (`{}`)", parent.kind_name(), parent.preview()));
    return nullptr;
  }
  if (parent.find(part) == nullptr) parent.set(part, Value::null(where));
  return parent.find(part);
}

void append(Value& target, Value value) {
  if (target.is_null()) target = Value(Value::List{}, value.location());
  if (!target.is_list()) {
    Value::List one;
    one.push_back(std::move(target));
    target = Value(std::move(one), value.location());
  }
  if (value.is_list()) {
    for (Value& item : value.list()) target.list().push_back(std::move(item));
  } else {
    target.list().push_back(std::move(value));
  }
}

void apply(Override change, Value& tree, Findings& findings) {
  Value* target = &tree;
  for (std::size_t at = 0; at < change.parts.size(); ++at) {
    if (at > 0) expand_short_form(change, at, *target);
    const std::optional<Kind> kind = kind_at(Path(change.parts.data(), at), *target);
    if (kind.has_value() && at + 1 == change.parts.size() && change.parts[at] == "class_path") {
      set_class(*kind, *target, std::move(change.value));
      return;
    }
    target = descend(*target, change.parts[at], change, findings);
    if (target == nullptr) return;
  }
  const std::optional<Kind> kind = kind_at(change.parts, *target);
  if (change.append) {
    append(*target, std::move(change.value));
  } else if (kind.has_value() && change.value.is_string()) {
    set_class(*kind, *target, std::move(change.value));
  } else {
    *target = std::move(change.value);
  }
}

}  // namespace

void apply_overrides(const std::vector<std::string>& overrides, Value& tree, Findings& findings) {
  for (const std::string& text : overrides) {
    if (std::optional<Override> change = read_override(text, findings)) {
      apply(*std::move(change), tree, findings);
    }
  }
}

}  // namespace lctl::jobspec
