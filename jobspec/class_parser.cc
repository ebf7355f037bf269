#include "jobspec/class_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "jobspec/checks.h"
#include "jobspec/edit_distance.h"

namespace lctl::jobspec {
namespace {

using keys::Kind;

const std::vector<std::string_view>& class_keys() {
  static const std::vector<std::string_view> names = {"class_path", "init_args"};
  return names;
}

std::vector<std::string_view> all_names(Kind kind) {
  std::vector<std::string_view> names;
  for (const keys::Class& entry : keys::classes(kind)) names.push_back(entry.name);
  return names;
}

// Whose class it is.
std::string_view library(Kind kind) {
  if (kind == Kind::kTransform) return "torchvision";
  const bool torch = kind == Kind::kOptimizer || kind == Kind::kLrScheduler || kind == Kind::kLayer;
  return torch ? "PyTorch" : "Lightning";
}

std::string_view last_part(std::string_view path) { return path.substr(path.rfind('.') + 1); }

// The table row of a named class, or findings.
const keys::Class* look_up(Kind kind, const std::string& name, const Location& where,
                           const std::string& key, bool check_available, Findings& findings) {
  const keys::Class* table = keys::find_class(kind, name);
  if (table == nullptr && findings.is_full()) {  // only counted
    findings.add(where, key, "unknown class");
    return nullptr;
  }
  if (table == nullptr) {
    findings.add(where, key,
                 fmt::format("unknown {} `{}`", keys::kind_name(kind), Value(name).preview()),
                 "available: " + join_names(keys::available_names(kind)),
                 nearest_name(last_part(name), all_names(kind)));
    return nullptr;
  }
  if (check_available && !table->available) {
    findings.add(where, key,
                 fmt::format("{} is known to {} but not available in this version of lctl",
                             table->name, library(kind)),
                 "available: " + join_names(keys::available_names(kind)));
    return nullptr;
  }
  return table;
}

void parse_children(const keys::Class& table, const Value& given, const std::string& key,
                    bool check_available, std::vector<ClassSpec>& children, Findings& findings);

// Entries of `layers` and `transforms`: `ReLU`, or `Linear: {in_features: 8, out_features: 4}`.
std::optional<ClassSpec> parse_entry(Kind kind, const Value& value, const std::string& key,
                                     bool check_available, Findings& findings) {
  std::string name;
  Value given = Value::empty_map(value.location());
  if (value.is_string()) {
    name = value.as_string();
  } else if (value.is_map() && value.map().size() == 1) {
    name = value.map()[0].key;
    const Value& arguments = value.map()[0].value;
    if (!arguments.is_null() && !arguments.is_map()) {
      findings.add(arguments.location(), join_key(key, name),
                   fmt::format("expected a map of arguments, got {} `{}`", arguments.kind_name(),
                               arguments.preview()));
      return std::nullopt;
    }
    if (arguments.is_map()) given = arguments;
  } else {
    findings.add(value.location(), key,
                 fmt::format("expected {}, got {} `{}`", with_article(keys::kind_name(kind)),
                             value.kind_name(), value.preview()),
                 kind == Kind::kLayer
                     ? "expected `ReLU` or `Linear: {in_features: 8, out_features: 4}`"
                     : "expected `RandomHorizontalFlip` or `Resize: {size: 256}`");
    return std::nullopt;
  }
  const keys::Class* table = look_up(kind, name, value.location(), key, check_available, findings);
  if (table == nullptr) return std::nullopt;
  const std::string entry_key = join_key(key, name);
  std::vector<ClassSpec> children;
  parse_children(*table, given, entry_key, check_available, children, findings);
  if (!check_arguments(*table, given, entry_key, value.location(), check_available, findings))
    return std::nullopt;
  return ClassSpec{std::string(table->name), Arguments(*table, std::move(given)), value.location(),
                   std::move(children)};
}

// One child, by the type cell of the argument that lists it.
std::optional<ClassSpec> parse_child(std::string_view type, const Value& value,
                                     const std::string& key, bool check_available,
                                     Findings& findings) {
  if (type == "layers") return parse_entry(Kind::kLayer, value, key, check_available, findings);
  if (type == "transforms")
    return parse_entry(Kind::kTransform, value, key, check_available, findings);
  return parse_class(Kind::kLrScheduler, value, key, check_available, findings);
}

// Children that stand in an argument of the class: layers, transforms, schedulers.
void parse_children(const keys::Class& table, const Value& given, const std::string& key,
                    bool check_available, std::vector<ClassSpec>& children, Findings& findings) {
  for (const keys::Argument& argument : table.arguments) {
    if (argument.type != "layers" && argument.type != "transforms" && argument.type != "schedulers")
      continue;
    const Value* list = given.find(argument.name);
    if (list == nullptr || list->is_null()) continue;
    const std::string list_key = join_key(key, argument.name);
    if (!list->is_list() || list->list().empty()) {
      findings.add(list->location(), list_key,
                   fmt::format("expected a list of {}, got {} `{}`", argument.type,
                               list->kind_name(), list->preview()));
      continue;
    }
    for (std::size_t i = 0; i < list->list().size(); ++i) {
      std::optional<ClassSpec> child = parse_child(
          argument.type, list->list()[i], join_key(list_key, i), check_available, findings);
      if (child.has_value()) children.push_back(*std::move(child));
    }
  }
}

// `log: {metric: {flag: value}}` of declarative models.
void check_log_flags(const Value& given, const std::string& key, bool check_available,
                     Findings& findings) {
  const Value* log = given.find("log");
  if (log == nullptr || !log->is_map()) return;
  for (const Value::Entry& metric : log->map()) {
    const std::string metric_key = join_key(join_key(key, "log"), metric.key);
    if (!metric.value.is_map()) {
      findings.add(metric.value.location(), metric_key,
                   fmt::format("expected a map of flags, got {} `{}`", metric.value.kind_name(),
                               metric.value.preview()),
                   "expected such as {prog_bar: true}");
      continue;
    }
    check_arguments(keys::section("model.init_args.log"), metric.value, metric_key,
                    metric.value.location(), check_available, findings);
  }
}

// Arguments that are maps with keys of their own: `schedule` and `on_trace_ready` of a
// PyTorchProfiler, `watch` of a WandbLogger. Their sections are "<owner>.<name>".
void check_parts(std::string_view owner, std::initializer_list<const char*> names,
                 const Value& given, const std::string& key, bool check_available,
                 Findings& findings) {
  for (const char* name : names) {
    const Value* part = given.find(name);
    if (part == nullptr || !part->is_map() || part->map().empty()) continue;
    check_arguments(keys::section(join_key(std::string(owner), name)), *part, join_key(key, name),
                    part->location(), check_available, findings);
  }
}

// class_path and init_args of an entry; other keys than `extra` are findings.
struct ClassParts {
  std::string class_path;
  Location where;
  Value init_args = Value::empty_map();
};
std::optional<ClassParts> split_class(Kind kind, const Value& value, const std::string& key,
                                      const std::vector<std::string_view>& extra,
                                      Findings& findings) {
  ClassParts parts;
  parts.where = value.location();
  parts.init_args = Value::empty_map(value.location());
  if (value.is_string()) {
    parts.class_path = value.as_string();
    return parts;
  }
  const Value* path = value.find("class_path");
  if (!value.is_map() || path == nullptr || !path->is_string()) {
    findings.add(path == nullptr ? value.location() : path->location(), key,
                 fmt::format("expected {}, got {} `{}`", with_article(keys::kind_name(kind)),
                             value.kind_name(), value.preview()),
                 "expected class_path (a name) and init_args (a map)");
    return std::nullopt;
  }
  std::vector<std::string_view> known = class_keys();
  known.insert(known.end(), extra.begin(), extra.end());
  for (const Value::Entry& entry : value.map()) {
    if (std::find(known.begin(), known.end(), entry.key) == known.end()) {
      add_unknown_key(entry, join_key(key, entry.key), known, findings);
    }
  }
  parts.class_path = path->as_string();
  parts.where = path->location();
  if (const Value* given = value.find("init_args"); given != nullptr && !given->is_null()) {
    if (!given->is_map()) {
      findings.add(
          given->location(), join_key(key, "init_args"),
          fmt::format("expected a map, got {} `{}`", given->kind_name(), given->preview()));
      return std::nullopt;
    }
    parts.init_args = *given;
  }
  return parts;
}

std::optional<ClassSpec> finish_class(Kind kind, ClassParts parts, const std::string& key,
                                      bool check_available, Findings& findings) {
  const keys::Class* table = look_up(kind, parts.class_path, parts.where,
                                     join_key(key, "class_path"), check_available, findings);
  if (table == nullptr) return std::nullopt;
  const std::string init_key = join_key(key, "init_args");
  std::vector<ClassSpec> children;
  parse_children(*table, parts.init_args, init_key, check_available, children, findings);
  if (kind == Kind::kModel) check_log_flags(parts.init_args, init_key, check_available, findings);
  if (kind == Kind::kProfiler) {
    check_parts("profiler", {"schedule", "on_trace_ready"}, parts.init_args, init_key,
                check_available, findings);
  }
  if (kind == Kind::kLogger)
    check_parts("logger", {"watch"}, parts.init_args, init_key, check_available, findings);
  if (!check_arguments(*table, parts.init_args, init_key, parts.where, check_available, findings))
    return std::nullopt;
  return ClassSpec{std::string(table->name), Arguments(*table, std::move(parts.init_args)),
                   parts.where, std::move(children)};
}

}  // namespace

std::optional<ClassSpec> parse_class(Kind kind, const Value& value, const std::string& key,
                                     bool check_available, Findings& findings) {
  std::optional<ClassParts> parts = split_class(kind, value, key, {}, findings);
  if (!parts.has_value()) return std::nullopt;
  return finish_class(kind, *std::move(parts), key, check_available, findings);
}

std::vector<ClassSpec> parse_classes(Kind kind, const Value& value, const std::string& key,
                                     bool check_available, Findings& findings) {
  std::vector<ClassSpec> classes;
  if (value.is_null()) return classes;
  if (!value.is_list()) {
    if (auto one = parse_class(kind, value, key, check_available, findings))
      classes.push_back(*std::move(one));
    return classes;
  }
  for (std::size_t i = 0; i < value.list().size(); ++i) {
    if (auto one =
            parse_class(kind, value.list()[i], join_key(key, i), check_available, findings)) {
      classes.push_back(*std::move(one));
    }
  }
  return classes;
}

std::vector<ClassSpec> parse_transform_list(const Value& list, const std::string& key,
                                            bool check_available, Findings& findings) {
  std::vector<ClassSpec> transforms;
  if (!list.is_list() || list.list().empty()) {
    findings.add(list.location(), key,
                 fmt::format("expected a list of transforms, got {} `{}`", list.kind_name(),
                             list.preview()));
    return transforms;
  }
  for (std::size_t i = 0; i < list.list().size(); ++i) {
    auto one =
        parse_entry(Kind::kTransform, list.list()[i], join_key(key, i), check_available, findings);
    if (one.has_value()) transforms.push_back(*std::move(one));
  }
  return transforms;
}

std::optional<ClassSpec> parse_profiler(Value value, bool check_available, Findings& findings) {
  constexpr std::pair<std::string_view, std::string_view> kShort[] = {
      {"simple", "SimpleProfiler"},
      {"advanced", "AdvancedProfiler"},
      {"pytorch", "PyTorchProfiler"},
      {"xla", "XLAProfiler"}};
  const std::string key = "trainer.profiler";
  // An override of the short name stands in class_path.
  Value* name = value.is_map() ? value.find("class_path") : &value;
  if (name == nullptr || !name->is_string() || name->as_string().find('.') != std::string::npos ||
      keys::find_class(Kind::kProfiler, name->as_string()) != nullptr)
    return parse_class(Kind::kProfiler, value, key, check_available, findings);
  std::string small = name->as_string();
  std::transform(small.begin(), small.end(), small.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const auto& [known, class_name] : kShort) {
    if (small != known) continue;
    *name = Value(std::string(class_name), name->location());
    return parse_class(Kind::kProfiler, value, key, check_available, findings);
  }
  findings.add(name->location(), key,
               fmt::format("`{}`: When passing string value for the `profiler` parameter of "
                           "`Trainer`, it can only be one of ['simple', 'advanced', 'pytorch', "
                           "'xla']",
                           name->preview()),
               "available: simple, advanced, pytorch",
               nearest_name(small, {"simple", "advanced", "pytorch"}));
  return std::nullopt;
}

std::optional<LrSchedulerSpec> parse_lr_scheduler(const Value& value, bool check_available,
                                                  Findings& findings) {
  const keys::Class& table = keys::section("lr_scheduler");
  std::vector<std::string_view> extra;
  for (const keys::Argument& argument : table.arguments) extra.push_back(argument.name);
  std::optional<ClassParts> parts =
      split_class(Kind::kLrScheduler, value, "lr_scheduler", extra, findings);
  if (!parts.has_value()) return std::nullopt;
  Value beside = Value::empty_map(value.location());
  if (value.is_map()) {
    for (const std::string_view name : extra) {
      if (const Value* given = value.find(name)) beside.set(name, *given);
    }
  }
  const bool good =
      check_arguments(table, beside, "lr_scheduler", value.location(), check_available, findings);
  std::optional<ClassSpec> scheduler = finish_class(Kind::kLrScheduler, *std::move(parts),
                                                    "lr_scheduler", check_available, findings);
  if (!good || !scheduler.has_value()) return std::nullopt;
  const Arguments arguments(table, std::move(beside));
  LrSchedulerSpec spec;
  spec.scheduler = *std::move(scheduler);
  spec.interval = arguments.get_string("interval");
  spec.frequency = arguments.get_int("frequency");
  spec.monitor = arguments.get_optional_string("monitor");
  spec.strict = arguments.get_bool("strict");
  spec.name = arguments.get_optional_string("name");
  return spec;
}

}  // namespace lctl::jobspec
