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

constexpr char kDropped[] = "checkpoints that are no longer kept";
constexpr char kUnused[] = "chunks that no checkpoint names";

}  // namespace

GarbageCollection::GarbageCollection(storage::CheckpointStore& checkpoints, const Clock& clock)
    : checkpoints_(checkpoints),
      clock_(clock),
      next_dropped_(clock.monotonic_now()),
      next_full_(clock.monotonic_now() + kBetweenFull) {}

void GarbageCollection::conclude(const absl::StatusOr<storage::Freed>& freed,
                                 std::string_view what) {
  static spdlog::logger& log = logger("garbage");
  passes_.fetch_add(1, std::memory_order_relaxed);
  if (!freed.ok()) {
    failed_passes_.fetch_add(1, std::memory_order_relaxed);
    log.warn("cannot free the disk of {}: {}; tried again later", what, message_of(freed.status()));
  } else if (freed->bytes > 0) {
    freed_bytes_.fetch_add(static_cast<std::uint64_t>(freed->bytes), std::memory_order_relaxed);
    log.info("freed {:.1f} MiB of {}", static_cast<double>(freed->bytes) / (1 << 20), what);
  }
}

GarbageCounts GarbageCollection::counts() const {
  return {.passes = passes_.load(std::memory_order_relaxed),
          .failed_passes = failed_passes_.load(std::memory_order_relaxed),
          .freed_bytes = freed_bytes_.load(std::memory_order_relaxed)};
}

void GarbageCollection::advance(const std::stop_token& stop) {
  if (clock_.monotonic_now() >= next_dropped_) {
    conclude(checkpoints_.collect_dropped({.stop = stop}), kDropped);
    next_dropped_ = clock_.monotonic_now() + kBetweenDropped;
  }
  if (clock_.monotonic_now() >= next_full_) {
    conclude(checkpoints_.collect_garbage({.stop = stop}), kUnused);
    next_full_ = clock_.monotonic_now() + kBetweenFull;
  }
}

absl::StatusOr<GarbageCollection::Collected> GarbageCollection::collect_now(
    bool dry_run, const std::stop_token& stop) {
  const storage::Collecting how{.dry_run = dry_run, .stop = stop};
  Collected all;
  const auto pass = [&](absl::StatusOr<storage::Freed> freed, std::string_view what,
                        storage::Freed& into) -> absl::Status {
    if (!dry_run) conclude(freed, what);
    LCTL_RETURN_IF_ERROR(freed.status());
    into = *freed;
    return absl::OkStatus();
  };
  LCTL_RETURN_IF_ERROR(pass(checkpoints_.collect_dropped(how), kDropped, all.dropped));
  LCTL_RETURN_IF_ERROR(pass(checkpoints_.collect_garbage(how), kUnused, all.unused));
  return all;
}

MonotonicTime GarbageCollection::next_deadline() const {
  return std::min(next_dropped_, next_full_);
}

}  // namespace lctl::server
