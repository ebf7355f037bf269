#include "worker/trainer/accelerators/host_stats.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>

namespace lctl {
namespace {

double one_decimal(double percent) { return std::round(percent * 10) / 10; }

double share(double part, double whole) { return whole > 0 ? one_decimal(100 * part / whole) : 0; }

// "MemTotal:   24581040 kB" …
std::map<std::string, double> memory_sizes() {
  std::map<std::string, double> sizes;
  std::ifstream file("/proc/meminfo");
  std::string name;
  double size = 0;
  while (file >> name >> size) {
    if (!name.empty()) name.pop_back();
    sizes[name] = size;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return sizes;
}

struct Ticks {
  double busy = 0;
  double total = 0;
};

// Fields of "cpu": user nice system idle iowait irq softirq steal guest guest_nice; guests are
// counted in user and nice already. Source: proc(5).
Ticks processor_ticks() {
  std::ifstream file("/proc/stat");
  std::string label;
  file >> label;
  Ticks ticks;
  double field = 0;
  for (int i = 0; i < 8 && file >> field; ++i) {
    ticks.total += field;
    const bool idle = i == 3 || i == 4;
    if (!idle) ticks.busy += field;
  }
  return ticks;
}

}  // namespace

DeviceStats HostStats::read() {
  std::map<std::string, double> memory = memory_sizes();
  const Ticks now = processor_ticks();
  const double used = memory["MemTotal"] - memory["MemAvailable"];
  const double swap = memory["SwapTotal"] - memory["SwapFree"];
  const double busy = total_ > 0 ? std::max(0.0, now.busy - busy_) : 0;
  DeviceStats stats = {{"cpu_vm_percent", share(used, memory["MemTotal"])},
                       {"cpu_percent", share(busy, now.total - total_)},
                       {"cpu_swap_percent", share(swap, memory["SwapTotal"])}};
  busy_ = now.busy;
  total_ = now.total;
  return stats;
}

}  // namespace lctl
