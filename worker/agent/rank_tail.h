// What one rank has written and the server has not acknowledged yet: its spool, its console output,
// and what the node measured while it ran.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/event.pb.h"
#include "proto/lctl/v1/ingest.pb.h"
#include "worker/agent/log_scanner.h"
#include "worker/agent/process_start.h"
#include "worker/agent/run_folder.h"
#include "worker/spool/spool_reader.h"

namespace lctl::agent {

inline constexpr std::size_t kMaxBatchBytes = 1 << 20;
inline constexpr std::uint64_t kMaxUnacknowledgedBytes = 4 << 20;  // per stream
inline constexpr std::uint64_t kKeptConsoleBytes = 1 << 20;        // stay readable on the node

// Cuts the streams of a rank into batches and keeps their acknowledged offsets in a file.
// Thread rule: caller locks.
class RankTail {
 public:
  // Called with every checkpoint that the spool announces, once per file, when the events up to its
  // announcement are acknowledged: a checkpoint in the store whose past is not would leave a gap in
  // the curve if this node were lost. At construction with those acknowledged before whose file
  // still waits in the stage folder. It is called under the caller's lock: post from it.
  using OnCheckpoint = std::function<void(const v1::CheckpointWritten&, std::int64_t time_us)>;

  // Called with each first line that fits one of `policies`, once it is written down in the rank's
  // folder, and before the line is sent. Under the caller's lock, too.
  using OnLogMatch = std::function<void(int policy, const std::string& line)>;

  RankTail(const AttemptId& attempt, int rank, RunFolder folder,
           const google::protobuf::RepeatedPtrField<v1::LogPolicy>& policies,
           OnCheckpoint on_checkpoint, OnLogMatch on_log_match);

  // The next unsent part of one of the streams; nullopt when there is nothing to send now (nothing
  // new, or too much is unacknowledged). Errors are those of the files; damaged records are said
  // once, here and in the rank's stderr (which goes into the job's log), and their stream counts as
  // ended where the damage begins.
  absl::StatusOr<std::optional<v1::IngestBatch>> next_batch(v1::StreamKind kind,
                                                            std::int64_t now_us);

  // What the server answered. Returns false when the attempt is fenced.
  bool acknowledge(const v1::IngestAck& ack);

  // Everything unacknowledged will be sent again: after a reconnect or a refusal.
  void rewind();

  // The process is gone: what is in the files now is all there will be.
  void process_ended();

  // All that the ended rank has written is acknowledged.
  bool drained();

  // Of all streams together: what the server has, and what of the files it does not have yet.
  std::uint64_t acknowledged_bytes() const;
  std::uint64_t waiting_bytes() const;

  const AttemptId& attempt() const { return attempt_; }
  int rank() const { return rank_; }

 private:
  struct Stream {
    std::uint64_t acknowledged = 0;
    std::uint64_t sent = 0;
    Descriptor file;             // console output only
    std::uint64_t released = 0;  // disk space before it was given back
  };
  // Of a stream of records.
  struct Records {
    std::unique_ptr<spool::SpoolReader> reader;
    bool damaged = false;
    bool damage_told = false;
    bool at_end = false;  // a read since the process ended (or since a rewind) found nothing
  };

  absl::StatusOr<std::optional<v1::IngestBatch>> next_records(v1::StreamKind kind,
                                                              std::int64_t now_us);
  absl::StatusOr<std::optional<v1::IngestBatch>> next_text(v1::StreamKind kind,
                                                           std::int64_t now_us);
  void look_for_policies(v1::StreamKind kind, const v1::IngestBatch& batch);
  void tell_matches(const std::vector<int>& policies);
  void announce_acknowledged();
  void tell_damage(const absl::Status& status);
  void save_offsets();
  void release_space(v1::StreamKind kind);
  std::filesystem::path file(v1::StreamKind kind) const;
  std::uint64_t size_of_file(v1::StreamKind kind) const;
  v1::IngestBatch empty_batch(v1::StreamKind kind, std::int64_t now_us) const;
  Stream& stream(v1::StreamKind kind) { return streams_[kind - 1]; }

  const AttemptId attempt_;
  const int rank_;
  const RunFolder folder_;
  const OnCheckpoint on_checkpoint_;
  const OnLogMatch on_log_match_;
  LogScanner scanner_;
  Stream streams_[4];                          // by v1::StreamKind - 1
  std::map<v1::StreamKind, Records> records_;  // EVENTS and NODE
  std::uint64_t announced_ = 0;                // checkpoints before this offset were announced
  bool ended_ = false;
  bool cannot_release_ = false;
  bool cannot_save_ = false;
};

}  // namespace lctl::agent
