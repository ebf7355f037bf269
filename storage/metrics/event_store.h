// The way in for everything that ranks report: events and console output, applied exactly once.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/event.pb.h"

namespace lctl::storage {

// Which bytes on a node a batch carries. Values match v1::StreamKind.
enum class StreamKind {
  kEvents = 1,  // what the rank wrote into its spool
  kStdout = 2,
  kStderr = 3,
  kNode = 4,  // records, too: what the node daemon measured while the rank ran
};
inline bool is_stream_kind(StreamKind kind) {
  return kind >= StreamKind::kEvents && kind <= StreamKind::kNode;
}
inline bool carries_events(StreamKind kind) {
  return kind == StreamKind::kEvents || kind == StreamKind::kNode;
}

// Keys of what nodes measure begin with it: "system/worker-1/cpu_utilization_percentage".
inline constexpr std::string_view kNodeKeyPrefix = "system/";

struct StreamKey {
  AttemptId attempt;
  int rank = 0;
  StreamKind kind = StreamKind::kEvents;

  friend auto operator<=>(const StreamKey&, const StreamKey&) = default;
};

struct SpooledEvent {
  std::uint64_t offset = 0;      // of its record in the rank's spool
  std::uint64_t end_offset = 0;  // of the next record
  v1::Event event;
};

// What happened to a batch.
struct Applied {
  enum class Result {
    kOk,      // all of it is in the store now (some or all of it may have been there before)
    kGap,     // it begins beyond the committed offset: nothing was applied
    kFenced,  // the attempt is not its job's current one, or the job is unknown: nothing was
              // applied
  };
  Result result = Result::kOk;
  std::uint64_t previous_offset = 0;   // committed before the call: records from here on were new
  std::uint64_t committed_offset = 0;  // after the call
  std::string left_out;  // what was not kept for a limit's sake, in words; "" = nothing
};

// One piece of a stream, as EventStore::apply_all() takes it.
struct StreamBatch {
  StreamKey stream;
  std::uint64_t from = 0;  // first byte that it carries
  std::uint64_t to = 0;    // one past the last
  // Both are views of what outlives the call.
  // kEvents, kNode: the whole records of [from, to), in order.
  std::span<const SpooledEvent> events;
  std::string_view text;     // kStdout, kStderr: the bytes of [from, to), or "" to skip them
  std::int64_t time_us = 0;  // kStdout, kStderr: when they were read
};

// A Finished event as kept.
struct RankResult {
  v1::Finished finished;
  std::int64_t time_us = 0;
};

// Part of Store; same errors and thread rule.
//
// Applied in one transaction with the stream's new offset: metrics become points, Progress the
// job's progress, Finished and RankReady the rank's last words, Hyperparameters the job's, LogLine
// nothing (it is in the console output too). CheckpointWritten is recorded by the upload's commit,
// and CheckpointRemoved marks that checkpoint as removed by its callback. Metrics, Progress,
// Hyperparameters and CheckpointRemoved count from rank 0 only: it alone writes them. A kind of
// event that this version does not know counts as applied. Points of keys beyond the store's limit
// for a job are left out, and count as applied.
//
// Of a kNode stream only metrics count whose key begins with kNodeKeyPrefix. Their step is the
// number of seconds since the job was submitted, so that attempts and nodes share an axis; their
// curve goes over all attempts.
class EventStore {
 public:
  virtual ~EventStore() = default;

  // `events` are the whole records of [from, to), in order. Records that lie before the committed
  // offset are skipped, so a re-sent batch is harmless. A record that is left out counts as
  // applied. InvalidArgument, and nothing applied: a record out of order, outside [from, to) or
  // across the committed offset; keys and values that are not equally many; an offset of 2^63 or
  // more.
  virtual absl::StatusOr<Applied> apply(const StreamKey& stream, std::uint64_t from,
                                        std::uint64_t to,
                                        const std::vector<SpooledEvent>& events) = 0;

  // Console output: `text` are the bytes of [from, from + text.size()).
  virtual absl::StatusOr<Applied> append_text(const StreamKey& stream, std::uint64_t from,
                                              std::string_view text, std::int64_t time_us) = 0;

  // apply() or append_text() for each, in order, sharing a transaction and its sync of the disk.
  // One result each: one batch's failure does not touch the others (though a later batch of the
  // same stream then finds a gap).
  virtual std::vector<absl::StatusOr<Applied>> apply_all(
      const std::vector<StreamBatch>& batches) = 0;

  // 0 when nothing was ever applied.
  virtual absl::StatusOr<std::uint64_t> committed_offset(const StreamKey& stream) const = 0;

  // nullopt when that rank has not reported its end.
  virtual absl::StatusOr<std::optional<RankResult>> rank_result(const AttemptId& attempt,
                                                                int rank) const = 0;

  struct TextChunk {
    StreamKey stream;
    std::uint64_t offset = 0;
    std::int64_t time_us = 0;
    std::string text;
  };
  struct TextQuery {
    JobId job;
    int attempt = 0;            // 0 = all
    int rank = -1;              // -1 = all
    std::int64_t after_id = 0;  // continue behind the last chunk seen (TextPage::last_id)
    int max_chunks = 256;
  };
  struct TextPage {
    std::vector<TextChunk> chunks;  // in the order of arrival
    std::int64_t last_id = 0;       // pass as after_id; unchanged when there was nothing new
  };
  virtual absl::StatusOr<TextPage> read_text(const TextQuery& query) const = 0;

  // Where to begin for about the last `bytes` of each stream that `query` selects (its after_id and
  // max_chunks do not matter).
  struct TextTail {
    std::int64_t after_id = 0;                 // for TextQuery
    std::map<StreamKey, std::uint64_t> begin;  // cut off what lies before; other streams: nothing
  };
  virtual absl::StatusOr<TextTail> find_tail(const TextQuery& query, std::int64_t bytes) const = 0;
};

}  // namespace lctl::storage
