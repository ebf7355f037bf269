// The folder of content-addressed chunks: blobs/ab/cdef… holds the bytes whose SHA-256 is abcdef….
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/clock.h"
#include "base/status.h"
#include "storage/blobs/disk_space.h"

namespace lctl::storage {

// A chunk appears whole: it is written under blobs/incoming/, synced, renamed into place, and its
// folder synced; several at once share the waits for the disk. What a crash leaves in incoming/ is
// deleted at the next open.
//
// A file's modification time is when somebody last relied on it (stored it, or asked for it and was
// told that it is there). Garbage collection spares the young, so an upload in flight keeps its
// chunks. Hashes are 32 bytes here. Thread rule: internally locked.
class ChunkFolder {
 public:
  // Makes the folder when it is absent. `clock` must outlive it.
  static absl::StatusOr<std::unique_ptr<ChunkFolder>> open(std::filesystem::path dir,
                                                           const Clock& clock,
                                                           DiskSpace space = {});

  // One that is there already, only for reading: nothing is made or tidied up. NotFound when it is
  // absent.
  static absl::StatusOr<std::unique_ptr<const ChunkFolder>> open_existing(std::filesystem::path dir,
                                                                          const Clock& clock);

  struct Chunk {
    std::string_view sha256;
    std::string_view bytes;
  };

  // Stores chunks whose hashes the caller has checked; the answer is how many were not there yet.
  // Synced on return. ResourceExhausted when the disk is full, or full but for the reserve: as
  // after any other error some of them may be there.
  absl::StatusOr<std::int64_t> put_all(std::span<const Chunk> chunks);

  // One; false when it was there.
  absl::StatusOr<bool> put(std::string_view sha256, std::string_view bytes);

  // The size of a chunk, made young; nullopt when it is not there.
  absl::StatusOr<std::optional<std::int64_t>> touch(std::string_view sha256) const;

  // The same without making it young.
  absl::StatusOr<std::optional<std::int64_t>> size(std::string_view sha256) const;

  // The whole chunk, checked against its hash. DataLoss, naming the file, when it is missing, has
  // another size, or does not match.
  absl::StatusOr<std::string> read(std::string_view sha256, std::int64_t size) const;

  // Renames a chunk whose bytes do not match its hash to <name>.damaged, so that it counts as
  // absent and can be stored anew. True when it did; false also when it is not there.
  absl::StatusOr<bool> put_aside_if_damaged(std::string_view sha256);

  // Calls `visit` with each chunk's hash and size, in no order, until it returns an error.
  absl::Status for_each(
      absl::FunctionRef<absl::Status(const std::string& sha256, std::int64_t size)> visit) const;

  // Whether a chunk is there and was last relied on before `cutoff`.
  absl::StatusOr<bool> is_older(std::string_view sha256, WallTime cutoff) const;

  // Deletes a chunk that is_older(), unless the folder is held. True when it did.
  absl::StatusOr<bool> remove_if_older(std::string_view sha256, WallTime cutoff);

  // As long as one lives, remove_if_older() deletes nothing: for a backup, whose snapshot of the
  // manifests must not outlive their chunks. The folder must outlive it.
  class Hold {
   public:
    explicit Hold(ChunkFolder& folder);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    ChunkFolder& folder_;
  };
  bool held() const;

  // Takes a chunk from another folder by a hard link, so that it lies on the disk once, or, where
  // the file systems allow none, as a copy whose bytes are checked. DataLoss when it is missing
  // there, has another size or (of a copy) another hash. Copies are synced; for links call sync()
  // behind the last one.
  enum class Taken { kThere, kLinked, kCopied };
  absl::StatusOr<Taken> take_from(const ChunkFolder& other, std::string_view sha256,
                                  std::int64_t size);

  // Makes all names in the folder durable.
  absl::Status sync() const;

  // Chunks that were put aside as damaged.
  absl::StatusOr<std::int64_t> count_damaged() const;

  // Of chunks that put() stored, since the folder was opened.
  std::uint64_t bytes_written() const { return bytes_written_.load(std::memory_order_relaxed); }

  // Chunks that were refused for the reserve's sake, since the folder was opened.
  std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

  std::filesystem::path path_of(std::string_view sha256) const;

 private:
  ChunkFolder(std::filesystem::path dir, const Clock& clock, DiskSpace space)
      : dir_(std::move(dir)), clock_(clock), space_(std::move(space)) {}

  absl::Status check_space(std::size_t size);

  struct Incoming;
  absl::StatusOr<Incoming> write(const Chunk& chunk) const;
  absl::Status publish(Incoming& incoming) const;
  std::vector<std::string> folders() const;
  absl::StatusOr<bool> link_from(const std::string& source, std::string_view sha256) const;

  const std::filesystem::path dir_;
  const Clock& clock_;
  const DiskSpace space_;
  std::atomic<std::uint64_t> bytes_written_{0};
  std::atomic<std::uint64_t> refused_{0};
  // Makes touch() and remove_if_older() exclude each other: a chunk that was said to be there
  // stays.
  mutable std::mutex mutex_;
  int holds_ = 0;  // guarded by mutex_
};

}  // namespace lctl::storage
