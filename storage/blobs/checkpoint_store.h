// Checkpoints as lists of content-addressed chunks: SHA-256 (hex) → bytes. A chunk is stored once,
// whoever refers to it. A checkpoint becomes visible whole, by one manifest row, or not at all.
#pragma once

#include <cstdint>
#include <limits>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/event.pb.h"

namespace lctl::storage {

inline constexpr std::int64_t kMaxChunkBytes = 4 << 20;

struct ChunkRef {
  std::string sha256;
  std::int64_t size = 0;
};

struct Chunk {
  std::string_view sha256;
  std::string_view bytes;
};

struct Manifest {
  AttemptId attempt;
  int rank = 0;
  v1::CheckpointWritten written;
  std::int64_t time_us = 0;
  std::vector<ChunkRef> chunks;
  std::string sha256;  // of the whole file
};

struct CheckpointRow {
  CheckpointId id;
  AttemptId attempt;
  v1::CheckpointWritten written;
  std::int64_t time_us = 0;
  std::string sha256;
  std::int64_t stored_bytes = 0;  // of chunks that were new with this checkpoint
  std::string damage;             // why nothing goes on from it; "" = it can be used
};

// Which checkpoints a job may go on from; none of those that are damaged.
struct Eligible {
  std::set<std::string> except;  // ids
  std::int64_t before_step =
      std::numeric_limits<std::int64_t>::max();  // with a smaller global_step
};

// How a pass of garbage collection is done.
struct Collecting {
  bool dry_run = false;  // nothing is deleted: the answer says what would be
  std::stop_token stop;  // ends it early
};

struct Freed {
  std::int64_t chunks = 0;
  std::int64_t bytes = 0;
};

// Part of Store; same errors and thread rule.
class CheckpointStore {
 public:
  virtual ~CheckpointStore() = default;

  // The hashes that the store lacks, in order, without repeats. Those that it has stay for an hour
  // at least, so that an upload may rely on them.
  virtual absl::StatusOr<std::vector<std::string>> missing(
      std::span<const std::string> hashes) const = 0;

  // Stores chunks, all synced before return: a group takes the disk little longer than one. Returns
  // how many were not there yet. InvalidArgument, and nothing is stored, when a hash does not match
  // the bytes or a size is out of bounds.
  virtual absl::StatusOr<std::int64_t> put_all(std::span<const Chunk> chunks) = 0;

  // One; false when it was there already.
  absl::StatusOr<bool> put(std::string_view sha256, std::string_view bytes) {
    const Chunk chunk{sha256, bytes};
    LCTL_ASSIGN_OR_RETURN(const std::int64_t stored, put_all({&chunk, 1}));
    return stored > 0;
  }

  // Commits the manifest. FailedPrecondition: the attempt was replaced. Aborted: a chunk is
  // missing, or was found damaged and put aside: ask missing() again, send what it names, and
  // commit again. InvalidArgument: sizes or the whole file's hash do not match (all bytes are read
  // for that, in the caller's thread). Repeating it returns the same id, even when retention has
  // dropped it since. ResourceExhausted, which says whose, when a quota would be exceeded.
  //
  // Then applies the job's retention. Dropped are: recovery and stop checkpoints beyond the newest
  // retention.keep_last of the two kinds together, but for the first at or past each multiple of
  // retention.keep_every steps; ModelCheckpoint's that CheckpointRemoved named,
  // or that were written again under the same name, or (with retention.keep_best) that are not
  // among the best so many of their metric. Never dropped: what newest() returns, what an
  // unfinished attempt resumed from, and last.ckpt. A damaged one takes nobody's place: it counts
  // for nothing, and goes when sound ones have replaced it.
  virtual absl::StatusOr<CheckpointId> commit(const Manifest& manifest) = 0;

  // Drops checkpoints of a job that has ended that nobody would choose: all but last.ckpt, the
  // newest of those that were the best by their metric, and what a resume would go on from. Returns
  // about how many bytes of chunks that frees. FailedPrecondition when the job has not ended.
  virtual absl::StatusOr<std::int64_t> trim(const JobId& job) = 0;

  // Oldest first; without those that their callback has removed.
  virtual absl::StatusOr<std::vector<CheckpointRow>> list(const JobId& job) const = 0;
  // NotFound for an unknown checkpoint and, saying so, for one that is no longer kept.
  virtual absl::StatusOr<CheckpointRow> get(const CheckpointId& id) const = 0;

  // The checkpoint from which a next attempt of the job should go on: rank 0's newest in the job's
  // lineage by (attempt, spool offset) that is not damaged, of those that are eligible. NotFound
  // when there is none.
  virtual absl::StatusOr<CheckpointRow> newest(const JobId& job,
                                               const Eligible& eligible = {}) const = 0;

  // Up to `size` (and up to 16 MiB) bytes of the file from `offset`; "" at its end. DataLoss,
  // naming file and checkpoint, when a chunk is damaged. Each call checks the chunks that it
  // touches; one that begins at offset + (bytes returned by the one before) touches no chunk twice
  // if size >= 4 MiB.
  virtual absl::StatusOr<std::string> read(const CheckpointId& id, std::int64_t offset,
                                           std::int64_t size) const = 0;

  // Reads all of it. A chunk that is missing or damaged is put aside, so that the next upload of
  // its bytes stores it anew, and each checkpoint that needs it is marked: nothing goes on from it
  // any more. Sound bytes take such a mark away. What is wrong with it; "" = nothing.
  virtual absl::StatusOr<std::string> verify(const CheckpointId& id) = 0;

  // Marks one whose bytes are as they were uploaded, but that its trainer cannot read.
  virtual absl::Status mark_unreadable(const CheckpointId& id, std::string_view why) = 0;

  // Deletes chunks that no manifest refers to and that nobody has relied on for an hour (uploads in
  // flight stay). Looks at every chunk: for once an hour or so. Nothing goes while a backup is
  // made.
  virtual absl::StatusOr<Freed> collect_garbage(const Collecting& how = {}) = 0;

  // Deletes the chunks of dropped manifests that no other one refers to and that nobody has relied
  // on since the drop. Costs nothing when nothing was dropped. Nothing goes while a backup is made.
  virtual absl::StatusOr<Freed> collect_dropped(const Collecting& how = {}) = 0;
};

}  // namespace lctl::storage
