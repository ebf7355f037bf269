// Frees the disk of what retention has dropped and of uploads that never ended.
#pragma once

#include <stop_token>

#include "base/clock.h"
#include "storage/blobs/checkpoint_store.h"

namespace lctl::server {

// Every minute the chunks of dropped checkpoints, every hour all that no checkpoint names (the
// first time an hour after the start). What it frees, and why it could not, goes to the log.
// Thread rule: one strand only, which must not be the engine's: a store of millions of chunks keeps
// it busy for minutes.
class GarbageCollection {
 public:
  // Both must outlive it.
  GarbageCollection(storage::CheckpointStore& checkpoints, const Clock& clock);

  // Does what is due. Ends early when `stop` is requested.
  void advance(const std::stop_token& stop);

  MonotonicTime next_deadline() const;

 private:
  storage::CheckpointStore& checkpoints_;
  const Clock& clock_;
  MonotonicTime next_dropped_;
  MonotonicTime next_full_;
};

}  // namespace lctl::server
