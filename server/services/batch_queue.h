// What an ingest stream has read and not yet applied.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

#include "proto/lctl/v1/ingest.pb.h"

namespace lctl::services {

// Between the thread that reads a stream and the one that applies: while one group of batches is
// being committed the next one gathers. Bounded, so that a fast sender waits instead of filling the
// memory. Thread rule: internally locked.
class BatchQueue {
 public:
  static constexpr std::size_t kMaxBatches = 64;
  static constexpr std::size_t kMaxBytes = 16 << 20;

  // Waits for room. False when the queue is closed: the batch is dropped.
  bool push(v1::IngestBatch batch);

  // Waits for batches and takes all of them, in order. Empty: closed, and nothing is left.
  std::vector<v1::IngestBatch> pop_all();

  // No more comes in; what is there can still be taken.
  void close();

 private:
  bool has_room() const;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::vector<v1::IngestBatch> waiting_;
  std::size_t bytes_ = 0;
  bool closed_ = false;
};

}  // namespace lctl::services
