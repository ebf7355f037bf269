#include "worker/agent/stall_watch.h"

#include <algorithm>
#include <chrono>

namespace lctl::agent {
namespace {

using pulse::Phase;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Duration kShortest = seconds(45);
constexpr int kTimesItsLongest = 10;
constexpr std::uint64_t kEnoughBatches = 5;  // to know a pace
constexpr Duration kPatience = minutes(10);
constexpr Duration kPatienceAtStart = minutes(30);
constexpr Duration kSpell = hours(1);  // a pause is remembered for one to two of them

// Stacks are written on request: that is no progress.
bool at_same_place(const pulse::Page& a, const pulse::Page& b) {
  return a.phase == b.phase && a.in_batch == b.in_batch && a.beats == b.beats && a.step == b.step &&
         a.begun == b.begun && a.passed == b.passed;
}

}  // namespace

StallWatch::Pace* StallWatch::pace() {
  switch (static_cast<Phase>(page_.phase)) {
    case Phase::kTraining:
      return &paces_[0];
    case Phase::kValidating:
      return &paces_[1];
    case Phase::kTesting:
      return &paces_[2];
    case Phase::kPredicting:
      return &paces_[3];
    default:
      return nullptr;
  }
}

void StallWatch::look(MonotonicTime now, const pulse::Page& page) {
  if (seen_ && at_same_place(page, page_)) return;
  if (seen_) learn(now, page);
  page_ = page;
  changed_ = now;
  seen_ = true;
}

void StallWatch::learn(MonotonicTime now, const pulse::Page& page) {
  Pace* const kept = pace();
  // A pause across phases says nothing about the pace in one.
  if (kept == nullptr || page.phase != page_.phase) return;
  if (page.beats > page_.beats) kept->batches += page.beats - page_.beats;
  if (now - kept->since > kSpell) {
    kept->longest_before = kept->longest;
    kept->longest = Duration::zero();
    kept->since = now;
  }
  kept->longest = std::max(kept->longest, now - changed_);
}

void StallWatch::start_anew(MonotonicTime now) { changed_ = now; }

std::optional<Duration> StallWatch::limit() const {
  if (hang_after_ms_ < 0) return std::nullopt;
  const Duration given = std::chrono::milliseconds(hang_after_ms_);
  const Pace* const known = pace();
  if (known == nullptr) {
    const bool start = static_cast<Phase>(page_.phase) == Phase::kStarting;
    return std::max(given, start ? kPatienceAtStart : kPatience);
  }
  if (hang_after_ms_ > 0) return given;
  if (known->batches < kEnoughBatches) return kPatience;
  return std::max(kShortest, kTimesItsLongest * std::max(known->longest, known->longest_before));
}

bool StallWatch::stalled(MonotonicTime now) const {
  const std::optional<Duration> most = limit();
  return seen_ && most && silence(now) >= *most;
}

}  // namespace lctl::agent
