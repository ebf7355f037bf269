#include "worker/trainer/callbacks/throughput.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>

namespace lctl {
namespace {

struct Peak {
  std::string_view words;  // all of them are in the device's name, in lower case
  double f64 = 0;          // FLOP/s; 0 = the device cannot
  double f32 = 0;
  double half = 0;  // bfloat16 and float16
  bool bfloat16 = true;
};

// Dense peaks of the makers' data sheets. The first that matches counts.
constexpr std::array<Peak, 12> kPeaks = {{
    {"h200", 34e12, 67e12, 989.4e12},
    {"h100 nvl", 30e12, 60e12, 835.5e12},
    {"h100 pcie", 25.6e12, 51.2e12, 756e12},
    {"h100", 33.5e12, 66.9e12, 989.4e12},
    {"a100", 9.7e12, 19.5e12, 312e12},
    {"a40", 0.58e12, 37.4e12, 149.7e12},
    {"a10g", 0, 31.2e12, 125e12},
    {"l40", 0, 90.5e12, 181e12},
    {"l4", 0, 30.3e12, 121e12},
    {"t4", 0, 8.1e12, 65e12, false},
    {"v100 sxm", 7.8e12, 15.7e12, 125e12, false},
    {"v100 pcie", 7e12, 14e12, 112e12, false},
}};

bool contains_all(std::string_view text, std::string_view words) {
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    if (text.find(words.substr(0, end)) == std::string_view::npos) return false;
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return true;
}

template <typename T>
void check_grows(const char* what, T before, T now) {
  if (now > before) return;
  throw std::invalid_argument(fmt::format(
      "Throughput: expected the {} to increase, last: {}, current: {}", what, before, now));
}

}  // namespace

std::optional<double> peak_flops(std::string_view device_name, std::string_view precision) {
  std::string name(device_name);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    return c == '-' ? ' ' : static_cast<char>(std::tolower(c));
  });
  const auto* found = std::find_if(kPeaks.begin(), kPeaks.end(), [&](const Peak& peak) {
    return contains_all(name, peak.words);
  });
  if (found == kPeaks.end()) return std::nullopt;
  double flops = found->f32;
  if (precision.starts_with("64")) flops = found->f64;
  if (precision.starts_with("16")) flops = found->half;
  if (precision.starts_with("bf16")) flops = found->bfloat16 ? found->half : 0;
  return flops > 0 ? std::optional(flops) : std::nullopt;
}

Throughput::Throughput(ThroughputOptions options) : options_(std::move(options)) {
  if (options_.window_size < 2)
    throw std::invalid_argument("ThroughputMonitor: window_size must be at least 2");
}

void Throughput::update(const ThroughputTotals& totals) {
  if (totals.samples < totals.batches) {
    throw std::invalid_argument(
        fmt::format("Expected samples ({}) to be greater or equal than batches ({})",
                    totals.samples, totals.batches));
  }
  if (totals.lengths && *totals.lengths < totals.samples) {
    throw std::invalid_argument(
        fmt::format("Expected lengths ({}) to be greater or equal than samples ({})",
                    *totals.lengths, totals.samples));
  }
  if (!window_.empty()) {
    const ThroughputTotals& last = window_.back();
    check_grows("time", last.time, totals.time);
    check_grows("batches", last.batches, totals.batches);
    check_grows("samples", last.samples, totals.samples);
    if (totals.lengths && last.lengths) check_grows("lengths", *last.lengths, *totals.lengths);
  }
  window_.push_back(totals);
  if (window_.size() > static_cast<std::size_t>(options_.window_size)) window_.pop_front();
}

void Throughput::add_rate(ThroughputMetrics& metrics, const std::string& name,
                          double per_second) const {
  metrics.emplace_back("device" + options_.separator + name, per_second);
  if (options_.world_size > 1)
    metrics.emplace_back(name, per_second * static_cast<double>(options_.world_size));
}

ThroughputMetrics Throughput::compute() const {
  const ThroughputTotals& last = window_.back();
  ThroughputMetrics metrics = {
      {"time", last.time}, {"batches", last.batches}, {"samples", last.samples}};
  if (last.lengths) metrics.emplace_back("lengths", *last.lengths);
  if (window_.size() < static_cast<std::size_t>(options_.window_size)) return metrics;
  const ThroughputTotals& first = window_.front();
  const double seconds = last.time - first.time;
  add_rate(metrics, "batches_per_sec", static_cast<double>(last.batches - first.batches) / seconds);
  add_rate(metrics, "samples_per_sec", static_cast<double>(last.samples - first.samples) / seconds);
  if (first.lengths && last.lengths) {
    add_rate(metrics, "items_per_sec",
             static_cast<double>(*last.lengths - *first.lengths) / seconds);
  }
  const bool has_flops = std::all_of(window_.begin(), window_.end(),
                                     [](const auto& update) { return update.flops.has_value(); });
  if (!has_flops) return metrics;
  double flops = 0;
  for (std::size_t i = 1; i < window_.size(); ++i) flops += *window_[i].flops;
  add_rate(metrics, "flops_per_sec", flops / seconds);
  if (options_.available_flops) {
    metrics.emplace_back("device" + options_.separator + "mfu",
                         flops / seconds / *options_.available_flops);
  }
  return metrics;
}

}  // namespace lctl
