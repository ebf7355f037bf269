#include "worker/agent/measuring/node_values.h"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>

namespace lctl::agent {
namespace {

constexpr double kMegabyte = 1e6;

double megabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / kMegabyte; }

// A counter that was set back (a driver loaded anew) has grown by nothing.
std::uint64_t growth(std::uint64_t before, std::uint64_t now) {
  return now > before ? now - before : 0;
}

class Values {
 public:
  void add(std::string name, double value) { all_.emplace_back(std::move(name), value); }
  void add_share(std::string name, double part, double whole) {
    if (whole > 0) add(std::move(name), 100 * part / whole);
  }
  std::vector<std::pair<std::string, double>> take() { return std::move(all_); }

 private:
  std::vector<std::pair<std::string, double>> all_;
};

void add_host(const HostReading& first, const HostReading& before, const HostReading& now,
              Values& values) {
  values.add_share("cpu_utilization_percentage",
                   static_cast<double>(growth(before.cpu_busy, now.cpu_busy)),
                   static_cast<double>(growth(before.cpu_total, now.cpu_total)));
  if (now.memory_total > 0) {
    const std::uint64_t used = growth(now.memory_available, now.memory_total);
    values.add("system_memory_usage_megabytes", megabytes(used));
    values.add_share("system_memory_usage_percentage", static_cast<double>(used),
                     static_cast<double>(now.memory_total));
  }
  if (now.disk_total > 0) {
    const std::uint64_t used = growth(now.disk_available, now.disk_total);
    values.add("disk_usage_megabytes", megabytes(used));
    values.add("disk_available_megabytes", megabytes(now.disk_available));
    values.add_share("disk_usage_percentage", static_cast<double>(used),
                     static_cast<double>(now.disk_total));
  }
  values.add("network_receive_megabytes",
             megabytes(growth(first.network_received, now.network_received)));
  values.add("network_transmit_megabytes", megabytes(growth(first.network_sent, now.network_sent)));
  values.add("disk_read_megabytes", megabytes(growth(first.disk_read, now.disk_read)));
  values.add("disk_write_megabytes", megabytes(growth(first.disk_written, now.disk_written)));
}

void add_gpu(unsigned index, const GpuReading& now, Values& values) {
  const auto name = [&](const char* what) { return fmt::format("gpu_{}_{}", index, what); };
  if (now.utilization_percent) values.add(name("utilization_percentage"), *now.utilization_percent);
  if (now.memory_used_bytes) {
    values.add(name("memory_usage_megabytes"), *now.memory_used_bytes / kMegabyte);
    values.add_share(name("memory_usage_percentage"), *now.memory_used_bytes,
                     now.memory_total_bytes.value_or(0));
  }
  if (now.power_watts) {
    values.add(name("power_usage_watts"), *now.power_watts);
    values.add_share(name("power_usage_percentage"), *now.power_watts,
                     now.power_limit_watts.value_or(0));
  }
  if (now.temperature_celsius) values.add(name("temperature_celsius"), *now.temperature_celsius);
}

}  // namespace

std::vector<std::pair<std::string, double>> node_values(const NodeReading& first,
                                                        const NodeReading& before,
                                                        const NodeReading& now) {
  static const double ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  Values values;
  add_host(first.host, before.host, now.host, values);
  for (const auto& [index, reading] : now.gpus) add_gpu(index, reading, values);
  for (const auto& [rank, process] : now.ranks) {
    values.add(fmt::format("rank_{}_memory_megabytes", rank), megabytes(process.memory));
    const auto earlier = before.ranks.find(rank);
    if (earlier == before.ranks.end()) continue;
    // 100 for each core that it keeps busy.
    const auto ticks = static_cast<double>(growth(earlier->second.cpu_ticks, process.cpu_ticks));
    values.add_share(fmt::format("rank_{}_cpu_percentage", rank), ticks / ticks_per_second,
                     now.seconds - before.seconds);
  }
  return values.take();
}

}  // namespace lctl::agent
