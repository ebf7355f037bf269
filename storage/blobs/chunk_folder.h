// The folder of content-addressed chunks: blobs/ab/cdef… holds the bytes whose SHA-256 is abcdef….
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "base/clock.h"
#include "base/status.h"

namespace lctl::storage {

// A chunk appears whole: it is written under blobs/incoming/, synced, renamed into place, and its
// folder synced. What a crash leaves in incoming/ is deleted at the next open.
//
// A file's modification time is when somebody last relied on it (stored it, or asked for it and was
// told that it is there). Garbage collection spares the young, so an upload in flight keeps its
// chunks. Hashes are 32 bytes here. Thread rule: internally locked.
class ChunkFolder {
 public:
  // Makes the folder when it is absent. `clock` must outlive it.
  static absl::StatusOr<std::unique_ptr<ChunkFolder>> open(std::filesystem::path dir,
                                                           const Clock& clock);

  // Stores bytes whose hash the caller has checked. False when they were there. Synced on return.
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

  // Deletes a chunk that was last relied on before `cutoff`. True when it did.
  absl::StatusOr<bool> remove_if_older(std::string_view sha256, WallTime cutoff);

  // Of chunks that put() stored, since the folder was opened.
  std::uint64_t bytes_written() const { return bytes_written_.load(std::memory_order_relaxed); }

  std::filesystem::path path_of(std::string_view sha256) const;

 private:
  ChunkFolder(std::filesystem::path dir, const Clock& clock)
      : dir_(std::move(dir)), clock_(clock) {}

  absl::Status write_file(const std::string& file, std::string_view bytes) const;
  absl::Status publish(const std::string& incoming, std::string_view sha256) const;

  const std::filesystem::path dir_;
  const Clock& clock_;
  std::atomic<std::uint64_t> bytes_written_{0};
  // Makes touch() and remove_if_older() exclude each other: a chunk that was said to be there
  // stays.
  mutable std::mutex mutex_;
};

}  // namespace lctl::storage
