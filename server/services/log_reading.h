// Reads a job's console output page by page, in the form in which clients get it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/tracking.pb.h"
#include "storage/metrics/event_store.h"

namespace lctl::services {

// InvalidArgument when attempt, rank or tail_bytes cannot be.
absl::Status check_logs_request(const v1::GetLogsRequest& request);

// Thread rule: caller locks.
class LogReading {
 public:
  // Finds where the request wants to begin. `store` must outlive it.
  static absl::StatusOr<LogReading> begin(const storage::EventStore& store, const JobId& job,
                                          const v1::GetLogsRequest& request);

  // What came after the last call, in pieces of at most 1 MiB; empty when there is nothing now.
  absl::StatusOr<std::vector<v1::LogChunk>> next();

 private:
  LogReading(const storage::EventStore& store, storage::EventStore::TextQuery query)
      : store_(&store), query_(std::move(query)) {}

  void append(const storage::EventStore::TextChunk& chunk, std::vector<v1::LogChunk>& to) const;

  const storage::EventStore* store_;
  storage::EventStore::TextQuery query_;
  storage::EventStore::TextTail tail_;
};

}  // namespace lctl::services
