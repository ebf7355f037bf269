// Frees the disk of what retention has dropped and of uploads that never ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "storage/blobs/checkpoint_store.h"

namespace lctl::server {

// Since the start.
struct GarbageCounts {
  std::uint64_t passes = 0;
  std::uint64_t failed_passes = 0;
  std::uint64_t freed_bytes = 0;
};

// Every minute the chunks of dropped checkpoints, every hour all that no checkpoint names (the
// first time an hour after the start). What it frees, and why it could not, goes to the log.
// Thread rule: one strand only (counts(): any thread), which must not be the engine's: a store of
// millions of chunks keeps it busy for minutes.
class GarbageCollection {
 public:
  // Both must outlive it.
  GarbageCollection(storage::CheckpointStore& checkpoints, const Clock& clock);

  // Does what is due. Ends early when `stop` is requested.
  void advance(const std::stop_token& stop);

  MonotonicTime next_deadline() const;

  struct Collected {
    storage::Freed dropped;  // chunks of checkpoints that are no longer kept
    storage::Freed unused;   // chunks that no checkpoint names
  };
  // Both passes now, whether or not they are due; with `dry_run` says what they would free.
  absl::StatusOr<Collected> collect_now(bool dry_run, const std::stop_token& stop);

  GarbageCounts counts() const;

 private:
  void conclude(const absl::StatusOr<storage::Freed>& freed, std::string_view what);

  storage::CheckpointStore& checkpoints_;
  const Clock& clock_;
  MonotonicTime next_dropped_;
  MonotonicTime next_full_;
  std::atomic<std::uint64_t> passes_{0};
  std::atomic<std::uint64_t> failed_passes_{0};
  std::atomic<std::uint64_t> freed_bytes_{0};
};

}  // namespace lctl::server
