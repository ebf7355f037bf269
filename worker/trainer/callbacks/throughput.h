// Rates of training over a window of the newest updates.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace lctl {

using ThroughputValue = std::variant<double, std::int64_t>;
using ThroughputMetrics = std::vector<std::pair<std::string, ThroughputValue>>;

struct ThroughputOptions {
  std::int64_t window_size = 100;         // updates; at least 2
  std::string separator = "/";            // between "device" and a name
  std::int64_t world_size = 1;            // above 1: rates of all devices beside those of this one
  std::optional<double> available_flops;  // peak of one device, FLOP/s; none: unknown
};

// Totals since the start, in seconds and counts of this rank. All must grow with each update.
struct ThroughputTotals {
  double time = 0;
  std::int64_t batches = 0;
  std::int64_t samples = 0;
  std::optional<std::int64_t> lengths;  // items (tokens) in the samples
  std::optional<double> flops;          // of this update alone
};

// Source: Lightning, fabric/utilities/throughput.py; names and order of values are its.
// Thread rule: one strand only.
class Throughput {
 public:
  // Throws std::invalid_argument for a window below 2.
  explicit Throughput(ThroughputOptions options);

  // Throws std::invalid_argument when a total did not grow, or samples are fewer than batches.
  void update(const ThroughputTotals& totals);
  // time, batches, samples, lengths; rates once the window is full. update() comes first.
  ThroughputMetrics compute() const;
  void reset() { window_.clear(); }
  double latest_time() const { return window_.empty() ? 0 : window_.back().time; }

 private:
  void add_rate(ThroughputMetrics& metrics, const std::string& name, double per_second) const;

  ThroughputOptions options_;
  std::deque<ThroughputTotals> window_;
};

// The peak of a device for dense work in that precision ("32-true", "bf16-mixed", …), in FLOP/s, by
// the name that its driver gives; none when the device is not known. Source: the makers' data
// sheets.
std::optional<double> peak_flops(std::string_view device_name, std::string_view precision);

}  // namespace lctl
