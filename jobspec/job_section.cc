#include "jobspec/job_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "jobspec/checks.h"
#include "jobspec/elastic.h"
#include "jobspec/job_texts.h"
#include "jobspec/keys/key_table.h"
#include "jobspec/log_policies.h"
#include "jobspec/quantity.h"
#include "jobspec/rules.h"

namespace lctl::jobspec {
namespace {

// Sets `key` in the map under `parent`, which is made when absent. A section of another kind is
// left alone: it has its own finding.
void set_in(Value& tree, std::string_view parent, std::string_view key, Value value) {
  const Value* found = tree.find(parent);
  if (found == nullptr || found->is_null()) tree.set(parent, Value::empty_map());
  if (Value* map = tree.find(parent); map->is_map()) map->set(key, std::move(value));
}

// A section of the tree checked against its table; its arguments (defaults when it is absent or
// wrong).
Arguments section(const Value& tree, std::string_view path, const ParseOptions& options,
                  Findings& findings) {
  const keys::Class& table = keys::section(path);
  const Value* value = &tree;
  std::string_view rest = path;
  while (!rest.empty() && value != nullptr) {
    const std::size_t dot = rest.find('.');
    value = value->is_map() ? value->find(rest.substr(0, dot)) : nullptr;
    rest = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
  }
  if (value == nullptr || value->is_null()) return {table, Value::empty_map()};
  if (!value->is_map()) {
    findings.add(value->location(), path,
                 fmt::format("expected a map, got {} `{}`", value->kind_name(), value->preview()));
    return {table, Value::empty_map()};
  }
  if (!check_arguments(table, *value, std::string(path), value->location(), options.check_available,
                       findings)) {
    return {table, Value::empty_map()};
  }
  return {table, *value};
}

const Value* given(const Value& tree, std::string_view first, std::string_view second,
                   std::string_view third = {}) {
  const Value* value = tree.is_map() ? tree.find(first) : nullptr;
  for (const std::string_view key : {second, third}) {
    if (key.empty() || value == nullptr) continue;
    value = value->is_map() ? value->find(key) : nullptr;
  }
  return value == nullptr || value->is_null() ? nullptr : value;
}

// Ranks per node that trainer.devices asks for; nothing for "auto" and for what is no valid value.
std::optional<std::int64_t> count_of(const Value& devices) {
  if (devices.is_int())
    return devices.as_int() > 0 ? std::optional(devices.as_int()) : std::nullopt;
  if (devices.is_list() && !devices.list().empty())
    return static_cast<std::int64_t>(devices.list().size());
  if (!devices.is_string()) return std::nullopt;
  const std::string& text = devices.as_string();
  if (text.find(',') != std::string::npos) {
    // "0,2" and the one-element list "1,".
    const auto commas = std::count(text.begin(), text.end(), ',');
    return text.find_last_not_of(' ') == text.rfind(',') ? commas : commas + 1;
  }
  if (!text.empty() && text.size() < 19 &&
      text.find_first_not_of("0123456789") == std::string::npos) {
    return std::stoll(text);
  }
  return std::nullopt;
}

// One number that both sections may give. Copies it to the trainer when only the resources have it;
// the default when none has it.
std::int32_t agree(Value& tree, const char* trainer_key, const char* resource_key,
                   Findings& findings) {
  const keys::Argument& row = *keys::section("job.resources").find(resource_key);
  const Value* trainer = given(tree, "trainer", trainer_key);
  const Value* resource = given(tree, "job", "resources", resource_key);
  const std::optional<std::int64_t> wanted = trainer == nullptr ? std::nullopt : count_of(*trainer);
  if (resource == nullptr || !resource->is_int()) {
    if (!wanted.has_value()) return 1;
    const std::string expected = broken_rule(row.rule, Value(*wanted));
    if (expected.empty()) return static_cast<std::int32_t>(*wanted);
    findings.add(trainer->location(), join_key("trainer", trainer_key),
                 fmt::format("`{}` is not allowed", *wanted), "expected " + expected);
    return 1;
  }
  if (!broken_rule(row.rule, *resource).empty()) return 1;  // has its own finding
  if (wanted.has_value() && *wanted != resource->as_int()) {
    findings.add(resource->location(), fmt::format("job.resources.{}", resource_key),
                 fmt::format("{} contradicts trainer.{}, which asks for {} ({})",
                             resource->as_int(), trainer_key, *wanted, trainer->location().str()),
                 "give it in one place only");
  }
  const std::int64_t result = resource->as_int();
  if (!wanted.has_value()) set_in(tree, "trainer", trainer_key, Value(result));
  return static_cast<std::int32_t>(result);
}

std::string canonical_accelerator(const std::string& name) { return name == "cuda" ? "gpu" : name; }

std::string agree_on_accelerator(Value& tree, Findings& findings) {
  const Value* trainer = given(tree, "trainer", "accelerator");
  const Value* resource = given(tree, "job", "resources", "accelerator");
  const std::string asked = trainer != nullptr && trainer->is_string()
                                ? canonical_accelerator(trainer->as_string())
                                : "auto";
  if (resource == nullptr || !resource->is_string() || resource->as_string() == "auto")
    return asked;
  const std::string result = resource->as_string();
  if (asked != "auto" && asked != result) {
    findings.add(resource->location(), "job.resources.accelerator",
                 fmt::format("`{}` contradicts trainer.accelerator, which is `{}` ({})", result,
                             trainer->as_string(), trainer->location().str()),
                 "give it in one place only");
  }
  if (asked == "auto") set_in(tree, "trainer", "accelerator", Value(result));
  return result;
}

std::string default_name(const std::string& file_name) {
  std::string name = std::filesystem::path(file_name).stem().string();
  for (char& c : name) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
    if (!good) c = '-';
  }
  if (name.empty()) return "job";
  return name.substr(0, 128);
}

v1::RestartFrom restart_from(std::string_view choice) {
  if (choice == "best") return v1::RESTART_FROM_BEST;
  return choice == "none" ? v1::RESTART_FROM_NONE : v1::RESTART_FROM_LAST;
}

// JobSpec.hang_after_ms.
std::int64_t hang_after_ms(const Value& value) {
  if (!value.is_string() || value.as_string() == "off") return -1;
  return parse_duration_ms(value).value.value_or(0);  // auto is none
}

std::int32_t int32(const Arguments& arguments, std::string_view name) {
  return static_cast<std::int32_t>(arguments.get_int(name));  // bounded by the key table
}

}  // namespace

v1::JobSpec parse_job(Value& tree, const ParseOptions& options, Findings& findings) {
  v1::JobSpec spec;
  const Arguments job = section(tree, "job", options, findings);
  const Arguments resources = section(tree, "job.resources", options, findings);
  const Arguments retention = section(tree, "job.retention", options, findings);

  const std::optional<std::string> name =
      job.has("name") ? std::optional(job.get_string("name")) : std::nullopt;
  spec.set_name(name.value_or(default_name(options.file_name)));
  if (given(tree, "job", "name") == nullptr) set_in(tree, "job", "name", Value(spec.name()));
  spec.set_experiment(job.get_string("experiment"));
  spec.set_priority(int32(job, "priority"));
  spec.set_max_restarts(int32(job, "max_restarts"));
  spec.set_restart_from(restart_from(job.get_string("restart_from")));
  spec.set_retry_crash_loops(job.get_string("crash_loop") == "retry");
  spec.set_hang_after_ms(hang_after_ms(job.get("hang_after")));
  spec.set_never_preempt(!job.get_bool("preemptible"));
  read_log_policies(job.get("log_policies"), "job.log_policies", options,
                    *spec.mutable_log_policies(), findings);
  spec.set_checkpoint_every_ms(parse_duration_ms(job.get("checkpoint_every")).value.value_or(0));
  spec.set_grace_ms(parse_duration_ms(job.get("grace")).value.value_or(0));
  spec.set_resume_mode(job.get_string("resume") == "lightning" ? v1::RESUME_MODE_LIGHTNING
                                                               : v1::RESUME_MODE_EXACT);
  read_environment(job.get("environment"), "job.environment", *spec.mutable_environment(),
                   findings);
  read_tags(job.get("tags"), "job.tags", *spec.mutable_tags(), findings);

  read_elastic(job.get("elastic"), tree, options, spec, findings);
  v1::Resources& wanted = *spec.mutable_resources();
  wanted.set_nodes(agree(tree, "num_nodes", "nodes", findings));
  wanted.set_devices_per_node(agree(tree, "devices", "devices", findings));
  wanted.set_accelerator(agree_on_accelerator(tree, findings));
  wanted.set_cpus_per_rank(int32(resources, "cpus_per_rank"));
  wanted.set_memory_bytes(parse_size(resources.get("memory")).value.value_or(0));
  spec.mutable_retention()->set_keep_last(int32(retention, "keep_last"));
  spec.mutable_retention()->set_keep_best(int32(retention, "keep_best"));
  spec.mutable_retention()->set_keep_every(retention.get_int("keep_every"));
  return spec;
}

}  // namespace lctl::jobspec
