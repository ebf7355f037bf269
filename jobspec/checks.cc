#include "jobspec/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "jobspec/arguments.h"
#include "jobspec/edit_distance.h"
#include "jobspec/quantity.h"
#include "jobspec/rules.h"
#include "jobspec/scalar.h"

namespace lctl::jobspec {
namespace {

std::string_view without_null(std::string_view type) {
  if (type.ends_with('?')) type.remove_suffix(1);
  return type;
}

std::vector<std::string_view> alternatives_of(std::string_view type) {
  std::vector<std::string_view> out;
  type = without_null(type);
  while (!type.empty()) {
    const std::size_t end = std::min(type.find('|'), type.size());
    out.push_back(type.substr(0, end));
    type.remove_prefix(std::min(end + 1, type.size()));
  }
  return out;
}

std::string_view element_of(std::string_view list_type) {
  return list_type.substr(5, list_type.size() - 6);  // "list[int]"
}

bool has_type(std::string_view type, const Value& value) {
  if (type == "any") return true;
  if (type == "bool") return value.is_bool();
  if (type == "int") return value.is_int();
  if (type == "float") return value.is_number();
  if (type == "str" || type == "path" || type == "folder") return value.is_string();
  if (type == "shards") return has_type("str", value) || has_type("list[str]", value);
  if (type == "map") return value.is_map();
  if (type == "list") return value.is_list();
  if (type == "duration" || type == "size") return value.is_string() || value.is_number();
  if (type == "time") return value.is_string() || value.is_map();
  if (type.starts_with("list[")) {
    return value.is_list() &&
           std::all_of(value.list().begin(), value.list().end(),
                       [type](const Value& item) { return has_type(element_of(type), item); });
  }
  return false;
}

bool has_one_of(std::string_view type, const Value& value) {
  const std::vector<std::string_view> all = alternatives_of(type);
  return std::any_of(all.begin(), all.end(),
                     [&value](std::string_view t) { return has_type(t, value); });
}

// What a person most likely did.
std::string hint(std::string_view type, const Value& value) {
  if (!value.is_string()) return "";
  const Scalar scalar = resolve_plain_scalar(value.as_string());
  const Value meant = std::holds_alternative<std::int64_t>(scalar)
                          ? Value(std::get<std::int64_t>(scalar))
                      : std::holds_alternative<double>(scalar) ? Value(std::get<double>(scalar))
                      : std::holds_alternative<bool>(scalar)   ? Value(std::get<bool>(scalar))
                                                               : Value();
  return !meant.is_null() && has_one_of(type, meant) ? " (remove the quotes)" : "";
}

// Durations, sizes and times have an inside.
std::string quantity_problem(std::string_view type, const Value& value) {
  const std::vector<std::string_view> all = alternatives_of(type);
  const auto has = [&all](std::string_view t) {
    return std::find(all.begin(), all.end(), t) != all.end();
  };
  if (has("duration")) return parse_duration_ms(value).problem;
  if (has("size")) return parse_size(value).problem;
  if (has("time") && (value.is_string() || value.is_map()))
    return parse_time_seconds(value).problem;
  return "";
}

// Values of the right type that no code can work with.
std::string useless_value(std::string_view type, const Value& value) {
  const auto is_nan = [](const Value& v) { return v.is_float() && std::isnan(v.as_double()); };
  if (is_nan(value) ||
      (value.is_list() && std::any_of(value.list().begin(), value.list().end(), is_nan)))
    return "is not a number (NaN)";
  const std::vector<std::string_view> all = alternatives_of(type);
  const auto is_input = [](std::string_view t) {
    return t == "path" || t == "folder" || t == "shards";
  };
  if (!std::any_of(all.begin(), all.end(), is_input)) return "";
  const auto is_empty = [](const Value& v) { return v.is_string() && v.as_string().empty(); };
  const bool useless =
      is_empty(value) ||
      (value.is_list() &&
       (value.list().empty() || std::any_of(value.list().begin(), value.list().end(), is_empty)));
  return useless ? "is empty" : "";
}

void check_support(const keys::Argument& argument, const Value& value, const std::string& key,
                   Findings& findings) {
  const bool is_default = argument.fallback != keys::kRequired && value == default_value(argument);
  if (is_default || argument.support.empty()) return;
  const std::string_view known = key.starts_with("job.") ? "" : "known to Lightning but ";
  if (argument.support == "later") {
    findings.add(
        value.location(), key,
        fmt::format("`{}` is {}not available in this version of lctl", argument.name, known),
        argument.fallback == "null" || argument.fallback == "{}"
            ? "leave it out"
            : fmt::format("available: {}", argument.fallback));
    return;
  }
  const std::vector<std::string_view> choices = choices_of(argument.support);
  const std::string text = value.preview();
  if (std::find(choices.begin(), choices.end(), text) != choices.end()) return;
  findings.add(value.location(), key,
               fmt::format("`{}` is {}not available in this version of lctl", text, known),
               "available: " + join_names(choices));
}

}  // namespace

bool is_nullable(const keys::Argument& argument) { return argument.type.ends_with('?'); }

bool is_structure(const keys::Argument& argument) {
  constexpr std::string_view kStructures[] = {"layers", "transforms", "schedulers", "callbacks",
                                              "logger", "profiler",   "class",      "section"};
  return std::find(std::begin(kStructures), std::end(kStructures), argument.type) !=
         std::end(kStructures);
}

std::string describe_type(std::string_view type) {
  std::vector<std::string> words;
  for (const std::string_view alternative : alternatives_of(type)) {
    if (alternative.starts_with("list[")) {
      words.push_back(fmt::format("list of {}", element_of(alternative)));
    } else if (alternative == "path") {
      words.emplace_back("file path or URL");
    } else if (alternative == "folder") {
      words.emplace_back("folder");
    } else if (alternative == "shards") {
      words.emplace_back(
          "shards: paths, URLs or patterns such as train-{000..099}.tar, one or a list");
    } else if (alternative == "duration") {
      words.emplace_back("duration such as 60s, 500ms, 2m or 1h30m, or 0");
    } else if (alternative == "size") {
      words.emplace_back("size such as 4GiB or 512MB");
    } else if (alternative == "time") {
      words.emplace_back("\"DD:HH:MM:SS\", a map of days, hours, minutes, seconds");
    } else {
      words.emplace_back(alternative);
    }
  }
  if (type.ends_with('?')) words.emplace_back("null");
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    out += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
  }
  return out;
}

void check_value(const keys::Argument& argument, const Value& value, const std::string& key,
                 bool check_available, Findings& findings) {
  if (value.is_null()) return;
  if (is_structure(argument)) {
    if (check_available) check_support(argument, value, key, findings);
    return;
  }
  if (!has_one_of(argument.type, value)) {
    findings.add(value.location(), key,
                 fmt::format("expected {}, got {} `{}`{}", describe_type(argument.type),
                             value.kind_name(), value.preview(), hint(argument.type, value)));
    return;
  }
  if (const std::string problem = useless_value(argument.type, value); !problem.empty()) {
    findings.add(value.location(), key, problem, "expected " + describe_type(argument.type));
    return;
  }
  if (const std::string problem = quantity_problem(argument.type, value); !problem.empty()) {
    findings.add(value.location(), key, fmt::format("`{}` {}", value.preview(), problem),
                 "expected " + with_article(describe_type(argument.type)));
    return;
  }
  if (const std::string expected = broken_rule(argument.rule, value); !expected.empty()) {
    const std::vector<std::string_view> choices = argument.rule.starts_with("one of: ")
                                                      ? choices_of(argument.rule)
                                                      : std::vector<std::string_view>();
    findings.add(value.location(), key, fmt::format("`{}` is not allowed", value.preview()),
                 "expected " + expected, nearest_name(value.preview(), choices));
    return;
  }
  if (check_available) check_support(argument, value, key, findings);
}

bool check_arguments(const keys::Class& table, const Value& given, const std::string& key,
                     const Location& where, bool check_available, Findings& findings) {
  const std::size_t before = findings.errors().size() + findings.dropped();
  std::vector<std::string_view> known;
  for (const keys::Argument& argument : table.arguments) known.push_back(argument.name);
  std::vector<std::string> meant;  // by misspelt keys
  for (const Value::Entry& entry : given.map()) {
    const std::string path = join_key(key, entry.key);
    if (const keys::Argument* argument = table.find(entry.key)) {
      check_value(*argument, entry.value, path, check_available, findings);
    } else {
      add_unknown_key(entry, path, known, findings);
      if (!findings.is_full()) meant.push_back(nearest_name(entry.key, known));
    }
  }
  for (const keys::Argument& argument : table.arguments) {
    if (argument.fallback != keys::kRequired) continue;
    const Value* value = given.find(argument.name);
    if (value != nullptr && !value->is_null()) continue;
    if (std::find(meant.begin(), meant.end(), argument.name) != meant.end()) continue;
    findings.add(where, join_key(key, argument.name), "is missing",
                 is_structure(argument) ? "" : "expected " + describe_type(argument.type));
  }
  return findings.errors().size() + findings.dropped() == before;
}

void add_unknown_key(const Value::Entry& entry, const std::string& key,
                     const std::vector<std::string_view>& known, Findings& findings) {
  if (findings.is_full()) {  // only counted: a file of nothing else would take seconds
    findings.add(entry.key_location, key, "unknown key");
    return;
  }
  findings.add(entry.key_location, key, "unknown key",
               known.empty() ? "it takes no arguments" : "known keys: " + join_names(known),
               nearest_name(entry.key, known));
}

std::string with_article(std::string_view noun) {
  const bool vowel =
      !noun.empty() && std::string_view("aeiou").find(noun[0]) != std::string_view::npos;
  return fmt::format("{} {}", vowel || noun.starts_with("lr") ? "an" : "a", noun);
}

std::string join_names(const std::vector<std::string_view>& names) {
  std::string out;
  for (const std::string_view name : names) out += (out.empty() ? "" : ", ") + std::string(name);
  return out;
}

}  // namespace lctl::jobspec
