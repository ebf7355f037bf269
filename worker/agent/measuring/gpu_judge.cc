#include "worker/agent/measuring/gpu_judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace lctl::agent {
namespace {

constexpr double kCooledDown = 5;  // degrees below the slowdown temperature

// Graphics engine exception, page fault, stopped or preempted work, video processor, reset channel:
// an application's.
constexpr std::array<std::uint64_t, 6> kOfApplications = {13, 31, 43, 45, 68, 109};

constexpr std::array<std::pair<std::uint64_t, std::string_view>, 8> kNamed = {{
    {48, "memory error that ECC could not correct"},
    {64, "memory row could not be remapped"},
    {74, "NVLink error"},
    {79, "fell off the bus"},
    {94, "contained memory error"},
    {95, "uncontained memory error"},
    {119, "its system processor does not answer"},
    {120, "error of its system processor"},
}};

std::string words(std::uint64_t xid) {
  const auto* const named = std::find_if(kNamed.begin(), kNamed.end(),
                                         [xid](const auto& each) { return each.first == xid; });
  if (named == kNamed.end()) return fmt::format("Xid {}", xid);
  return fmt::format("Xid {}: {}", xid, named->second);
}

}  // namespace

std::string GpuJudge::judge(const GpuSigns& signs, std::span<const std::uint64_t> xids) {
  if (!first_errors_) first_errors_ = signs.uncorrected_errors;
  for (const std::uint64_t xid : xids) {
    if (!for_good_.empty()) break;
    if (std::find(kOfApplications.begin(), kOfApplications.end(), xid) == kOfApplications.end())
      for_good_ = words(xid);
  }
  if (for_good_.empty() && signs.lost) for_good_ = "the driver has lost it";
  if (for_good_.empty() && signs.uncorrected_errors && *signs.uncorrected_errors > *first_errors_) {
    for_good_ = fmt::format("{} new memory errors that ECC could not correct",
                            *signs.uncorrected_errors - *first_errors_);
  }
  if (!for_good_.empty()) return for_good_;

  if (!signs.temperature_celsius || !signs.slowdown_celsius) {
    hot_ = false;
    return "";
  }
  const double limit = *signs.slowdown_celsius;
  hot_ = *signs.temperature_celsius >= (hot_ ? limit - kCooledDown : limit);
  if (!hot_) return "";
  return fmt::format("{:.0f} °C, and it slows itself down at {:.0f} °C", *signs.temperature_celsius,
                     limit);
}

}  // namespace lctl::agent
