// torch.profiler's key_averages().table(): what each operation of a recording cost, as text.
#pragma once

#include <c10/core/DeviceType.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace torch::autograd::profiler {
struct ProfilerResult;
}

namespace lctl {

// All calls of one name. Times in microseconds, memory in bytes. `self_`: without what ran inside.
struct KeyAverage {
  std::string name;
  c10::DeviceType device_type = c10::DeviceType::CPU;
  bool user_annotation = false;
  bool is_async = false;     // began and ended on two threads: it has no inside
  std::string input_shapes;  // "[[16, 8], [8]]"; "" unless grouped by it
  std::int64_t count = 0;
  double cpu_time_total = 0;
  double self_cpu_time_total = 0;
  double device_time_total = 0;
  double self_device_time_total = 0;
  std::int64_t cpu_memory_usage = 0;
  std::int64_t self_cpu_memory_usage = 0;
  std::int64_t device_memory_usage = 0;
  std::int64_t self_device_memory_usage = 0;
  std::uint64_t flops = 0;
};

// In the order of first calls. `with_device`: kernels count for the operations that started them.
std::vector<KeyAverage> key_averages(const torch::autograd::profiler::ProfilerResult& result,
                                     bool with_device, bool group_by_input_shapes);

struct KeyAveragesTable {
  std::string sort_by = "cpu_time_total";  // largest first; cuda_… are the device's
  std::int64_t row_limit = 20;             // -1 = all
  bool profile_memory = false;
  bool with_flops = false;
  std::string device;  // "CUDA"; "" = none
};

// Torch's text, column for column; "" for no rows.
std::string table_of(std::vector<KeyAverage> averages, const KeyAveragesTable& layout);

// Whether `key` names something that a table can be sorted by.
bool is_sort_key(std::string_view key);
// "count, cpu_memory_usage, …"
std::string sort_keys();

}  // namespace lctl
