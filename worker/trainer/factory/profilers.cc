#include "worker/trainer/factory/profilers.h"

#include <array>
#include <string>

#include "jobspec/keys/key_table.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/profilers/advanced_profiler.h"
#include "worker/trainer/profilers/pytorch_profiler.h"
#include "worker/trainer/profilers/simple_profiler.h"

namespace lctl {
namespace {

using jobspec::Arguments;
using jobspec::Value;

template <typename Options>
Options place_of(const Arguments& a) {
  Options options;
  options.dirpath = a.get_optional_string("dirpath").value_or("");
  options.filename = a.get_optional_string("filename").value_or("");
  return options;
}

std::shared_ptr<Profiler> make_simple(const Arguments& a) {
  auto options = place_of<SimpleProfiler::Options>(a);
  options.extended = a.get_bool("extended");
  return std::make_shared<SimpleProfiler>(std::move(options));
}

std::shared_ptr<Profiler> make_advanced(const Arguments& a) {
  auto options = place_of<AdvancedProfiler::Options>(a);
  const Value& rows = a.get("line_count_restriction");
  if (rows.is_int()) {
    options.line_count_restriction = rows.as_int();
  } else {
    options.line_count_restriction = rows.as_double();
  }
  options.dump_stats = a.get_bool("dump_stats");
  return std::make_shared<AdvancedProfiler>(std::move(options));
}

std::optional<ProfilerSchedule> schedule_of(const Value& given) {
  if (given.is_null()) return ProfilerSchedule::all();
  if (given.map().empty()) return std::nullopt;
  const Arguments a(jobspec::keys::section("profiler.schedule"), given);
  ProfilerSchedule schedule;
  schedule.wait = a.get_int("wait");
  schedule.warmup = a.get_int("warmup");
  schedule.active = a.get_int("active");
  schedule.repeat = a.get_int("repeat");
  schedule.skip_first = a.get_int("skip_first");
  const Value& skip = a.get("skip_first_wait");
  schedule.skip_first_wait = skip.is_bool() ? skip.as_bool() : skip.as_int() != 0;
  return schedule;
}

std::shared_ptr<Profiler> make_pytorch(const Arguments& a) {
  auto options = place_of<PyTorchProfiler::Options>(a);
  options.group_by_input_shapes = a.get_bool("group_by_input_shapes");
  options.export_to_chrome = a.get_bool("export_to_chrome");
  options.row_limit = a.get_int("row_limit");
  options.sort_by_key = a.get_optional_string("sort_by_key").value_or("");
  options.record_module_names = a.get_bool("record_module_names");
  options.schedule = schedule_of(a.get("schedule"));
  if (const Value& given = a.get("on_trace_ready"); !given.is_null()) {
    const Arguments handler(jobspec::keys::section("profiler.on_trace_ready"), given);
    options.on_trace_ready = tensorboard_trace_handler(
        handler.get_string("dir_name"), handler.get_optional_string("worker_name").value_or(""),
        handler.get_bool("use_gzip"));
  }
  if (const Value& given = a.get("activities"); !given.is_null()) {
    options.activities.emplace();
    for (const Value& name : given.list()) options.activities->push_back(name.as_string());
  }
  options.record_shapes = a.get_bool("record_shapes");
  options.profile_memory = a.get_bool("profile_memory");
  options.with_stack = a.get_bool("with_stack");
  options.with_flops = a.get_bool("with_flops");
  options.with_modules = a.get_bool("with_modules");
  return std::make_shared<PyTorchProfiler>(std::move(options));
}

struct Entry {
  std::string_view name;
  std::shared_ptr<Profiler> (*make)(const Arguments& arguments);
};

constexpr std::array<Entry, 3> kProfilers = {{
    {"SimpleProfiler", make_simple},
    {"AdvancedProfiler", make_advanced},
    {"PyTorchProfiler", make_pytorch},
}};

}  // namespace

std::shared_ptr<Profiler> make_profiler(const jobspec::ClassSpec& spec) {
  for (const Entry& entry : kProfilers) {
    if (spec.class_name == entry.name) return entry.make(spec.init_args);
  }
  throw MisconfigurationException("trainer.profiler: unknown class '" + spec.class_name + "'");
}

std::vector<std::string_view> profiler_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kProfilers) names.push_back(entry.name);
  return names;
}

}  // namespace lctl
