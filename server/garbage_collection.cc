#include "server/garbage_collection.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/log.h"
#include "base/status.h"

namespace lctl::server {
namespace {

constexpr Duration kBetweenDropped = std::chrono::minutes(1);
constexpr Duration kBetweenFull = std::chrono::hours(1);

void report(const absl::StatusOr<std::int64_t>& freed, std::string_view what) {
  static spdlog::logger& log = logger("garbage");
  if (!freed.ok()) {
    log.warn("cannot free the disk of {}: {}; tried again later", what, message_of(freed.status()));
  } else if (*freed > 0) {
    log.info("freed {:.1f} MiB of {}", static_cast<double>(*freed) / (1 << 20), what);
  }
}

}  // namespace

GarbageCollection::GarbageCollection(storage::CheckpointStore& checkpoints, const Clock& clock)
    : checkpoints_(checkpoints),
      clock_(clock),
      next_dropped_(clock.monotonic_now()),
      next_full_(clock.monotonic_now() + kBetweenFull) {}

void GarbageCollection::advance(const std::stop_token& stop) {
  if (clock_.monotonic_now() >= next_dropped_) {
    report(checkpoints_.collect_dropped(stop), "checkpoints that are no longer kept");
    next_dropped_ = clock_.monotonic_now() + kBetweenDropped;
  }
  if (clock_.monotonic_now() >= next_full_) {
    report(checkpoints_.collect_garbage(stop), "chunks that no checkpoint names");
    next_full_ = clock_.monotonic_now() + kBetweenFull;
  }
}

MonotonicTime GarbageCollection::next_deadline() const {
  return std::min(next_dropped_, next_full_);
}

}  // namespace lctl::server
