// How busy this machine's processors and memory are, from /proc.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace lctl {

// Name and value, in the order in which they are logged.
using DeviceStats = std::vector<std::pair<std::string, double>>;

// Percentages with one decimal, under the names of Lightning's CPU accelerator: cpu_vm_percent
// (memory that is not available), cpu_percent (processors busy since the last call; 0 at the first)
// and cpu_swap_percent. What the system does not tell is 0. Thread rule: one strand only.
class HostStats {
 public:
  DeviceStats read();

 private:
  double busy_ = 0;   // ticks at the last call
  double total_ = 0;  // 0 = never called
};

}  // namespace lctl
