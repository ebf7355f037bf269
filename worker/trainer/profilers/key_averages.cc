// From Kineto's events to averages: torch/autograd/profiler.py's rules.
#include "worker/trainer/profilers/key_averages.h"

#include <c10/util/Type.h>
#include <kineto/ActivityType.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <unordered_map>

namespace lctl {
namespace {

using torch::autograd::profiler::KinetoEvent;
using torch::autograd::profiler::ProfilerResult;

constexpr std::string_view kMemory = "[memory]";
constexpr std::string_view kOutOfMemory = "[OutOfMemory]";

// Kineto's own bookkeeping, which no table shows.
bool is_left_out(std::string_view name) {
  constexpr std::array<std::string_view, 8> kNames = {kMemory,
                                                      kOutOfMemory,
                                                      "profiler::_record_function_enter",
                                                      "profiler::_record_function_enter_new",
                                                      "profiler::_record_function_exit",
                                                      "aten::is_leaf",
                                                      "aten::output_nr",
                                                      "aten::_version"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

struct Event {
  std::string name;
  std::uint64_t id = 0;  // correlation
  std::uint64_t linked = 0;
  std::uint64_t thread = 0;
  double start = 0;  // microseconds since the recording began
  double end = 0;
  c10::DeviceType device = c10::DeviceType::CPU;
  bool is_async = false;
  bool user_annotation = false;
  std::string shapes;
  std::uint64_t flops = 0;
  std::int64_t cpu_memory = 0;
  std::int64_t device_memory = 0;
  double kernels = 0;  // microseconds of the kernels that it started
  Event* parent = nullptr;
  std::vector<Event*> children;
  bool dropped = false;

  bool on_cpu() const { return device == c10::DeviceType::CPU; }
  bool nests() const { return on_cpu() && !is_async; }
  double elapsed() const { return end - start; }
  double cpu_time() const { return on_cpu() ? elapsed() : 0; }
  double device_time() const {
    if (is_async) return 0;
    if (!on_cpu()) return elapsed();
    double time = kernels;
    for (const Event* child : children) time += child->device_time();
    return time;
  }
};

bool is_host(c10::DeviceType type) {
  return type == c10::DeviceType::CPU || type == c10::DeviceType::MKLDNN ||
         type == c10::DeviceType::IDEEP;
}

bool is_gpu(c10::DeviceType type) {
  return type == c10::DeviceType::CUDA || type == c10::DeviceType::HIP ||
         type == c10::DeviceType::XPU || type == c10::DeviceType::PrivateUse1;
}

// Allocations, by time; each belongs to all operations that were running.
struct MemoryRecord {
  std::uint64_t time;
  std::int64_t cpu;
  std::int64_t device;
  bool inside = false;  // of some operation
};

std::vector<MemoryRecord> memory_records(const std::vector<KinetoEvent>& events) {
  std::vector<MemoryRecord> records;
  for (const KinetoEvent& event : events) {
    if (event.name() != kMemory) continue;
    const c10::DeviceType type = event.deviceType();
    records.push_back(
        {event.startNs(), is_host(type) ? event.nBytes() : 0, is_gpu(type) ? event.nBytes() : 0});
  }
  std::stable_sort(records.begin(), records.end(),
                   [](const MemoryRecord& a, const MemoryRecord& b) { return a.time < b.time; });
  return records;
}

void add_memory(Event& event, const KinetoEvent& from, std::vector<MemoryRecord>& records) {
  auto record =
      std::lower_bound(records.begin(), records.end(), from.startNs(),
                       [](const MemoryRecord& a, std::uint64_t time) { return a.time < time; });
  for (; record != records.end() && record->time <= from.endNs(); ++record) {
    event.cpu_memory += record->cpu;
    event.device_memory += record->device;
    record->inside = true;
  }
}

// Python's str() of a list of lists.
std::string text_of_shapes(const KinetoEvent& event) {
  std::string text;
  for (const std::vector<std::int64_t>& shape : event.shapes()) {
    std::string sizes;
    for (const std::int64_t size : shape)
      sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
    text += (text.empty() ? "[" : ", [") + sizes + "]";
  }
  return "[" + text + "]";
}

std::string shown_name(const std::string& name) {
  if (name.starts_with("ProfilerStep#")) return "ProfilerStep*";
  return name.size() > 1 ? c10::demangle(name.c_str()) : name;
}

bool is_annotation(const KinetoEvent& event) {
  const auto type = static_cast<libkineto::ActivityType>(event.activityType());
  return type == libkineto::ActivityType::USER_ANNOTATION ||
         type == libkineto::ActivityType::GPU_USER_ANNOTATION;
}

std::vector<Event> events_of(const ProfilerResult& result, bool with_shapes) {
  std::vector<MemoryRecord> memory = memory_records(result.events());
  const auto micros = [&result](std::uint64_t time) {
    return static_cast<double>(static_cast<std::int64_t>(time - result.trace_start_ns())) / 1000;
  };
  std::vector<Event> events;
  for (const KinetoEvent& from : result.events()) {
    if (is_left_out(from.name()) || from.isHiddenEvent()) continue;
    Event event;
    event.name = shown_name(from.name());
    event.id = from.correlationId();
    event.linked = from.linkedCorrelationId();
    event.thread = from.startThreadId();
    event.start = micros(from.startNs());
    event.end = micros(from.endNs());
    event.device = from.deviceType();
    event.is_async = from.isAsync() || from.startThreadId() != from.endThreadId();
    event.user_annotation = is_annotation(from);
    event.flops = from.flops();
    if (with_shapes) event.shapes = text_of_shapes(from);
    if (event.on_cpu()) add_memory(event, from, memory);
    events.push_back(std::move(event));
  }
  for (const MemoryRecord& record : memory) {
    if (record.inside) continue;
    Event event;
    event.name = kMemory;
    event.start = event.end = micros(record.time);
    event.cpu_memory = record.cpu;
    event.device_memory = record.device;
    if (with_shapes) event.shapes = "[]";
    events.push_back(std::move(event));
  }
  return events;
}

// Kernels count for the operation whose correlation they carry.
void link_kernels(std::vector<Event>& events) {
  std::unordered_map<std::uint64_t, std::vector<Event*>> by_operation;
  for (Event& event : events) {
    if (event.linked > 0) by_operation[event.linked].push_back(&event);
  }
  for (Event& event : events) {
    if (event.linked != 0 || !event.nests()) continue;
    const auto linked = by_operation.find(event.id);
    if (linked == by_operation.end()) continue;
    for (Event* started : linked->second) {
      if (started->on_cpu()) {
        started->thread = event.thread;
      } else {
        event.kernels += started->elapsed();
      }
    }
  }
}

bool before(const Event& a, const Event& b) {
  return std::tuple(a.start, -a.end) < std::tuple(b.start, -b.end);
}

// An event is inside the last one of its thread that contains it.
void build_tree(std::vector<Event>& events) {
  std::map<std::uint64_t, std::vector<Event*>> threads;  // what is open, the innermost last
  for (Event& event : events) {
    if (!event.nests()) continue;
    std::vector<Event*>& open = threads[event.thread];
    while (!open.empty() && (event.start >= open.back()->end || event.end > open.back()->end))
      open.pop_back();
    if (!open.empty()) {
      event.parent = open.back();
      open.back()->children.push_back(&event);
    }
    open.push_back(&event);
  }
}

// An operation whose only inside is one of the same name is that one.
void drop_doubles(std::vector<Event>& events) {
  for (bool again = true; again;) {
    again = false;
    for (Event& event : events) {
      Event* parent = event.parent;
      if (event.dropped || parent == nullptr || parent->name != event.name ||
          parent->children.size() != 1)
        continue;
      parent->kernels = event.kernels;
      for (Event* child : event.children) child->parent = parent;
      parent->children = std::move(event.children);
      event.dropped = again = true;
    }
  }
}

void add_to(KeyAverage& average, const Event& event, bool with_device) {
  double cpu_inside = 0;
  double device_inside = 0;
  std::int64_t cpu_memory_inside = 0;
  std::int64_t device_memory_inside = 0;
  for (const Event* child : event.children) {
    cpu_inside += child->cpu_time();
    device_inside += child->device_time();
    cpu_memory_inside += child->cpu_memory;
    device_memory_inside += child->device_memory;
  }
  ++average.count;
  average.cpu_time_total += event.cpu_time();
  if (event.nests()) {
    average.self_cpu_time_total += event.cpu_time() - cpu_inside;
    average.self_cpu_memory_usage += event.cpu_memory - cpu_memory_inside;
    average.self_device_memory_usage += event.device_memory - device_memory_inside;
  }
  average.cpu_memory_usage += event.cpu_memory;
  average.device_memory_usage += event.device_memory;
  if (with_device) {
    const double time = event.device_time();
    average.device_time_total += time;
    average.self_device_time_total +=
        event.on_cpu() && !event.is_async ? time - device_inside : time;
  }
  average.flops += event.flops;
}

}  // namespace

std::vector<KeyAverage> key_averages(const ProfilerResult& result, bool with_device,
                                     bool group_by_input_shapes) {
  std::vector<Event> events = events_of(result, group_by_input_shapes);
  std::stable_sort(events.begin(), events.end(), before);
  link_kernels(events);
  build_tree(events);
  drop_doubles(events);
  std::vector<KeyAverage> averages;
  std::map<std::tuple<std::string, c10::DeviceType, bool, std::string>, std::size_t> places;
  for (const Event& event : events) {
    if (event.dropped) continue;
    const auto [place, added] = places.try_emplace(
        std::tuple(event.name, event.device, event.user_annotation, event.shapes), averages.size());
    if (added) {
      averages.push_back(
          {event.name, event.device, event.user_annotation, event.is_async, event.shapes});
    }
    add_to(averages[place->second], event, with_device);
  }
  return averages;
}

}  // namespace lctl
