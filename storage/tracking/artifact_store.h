// Files that scripts keep with their runs and models, by path:
// "3/abcdefghij/artifacts/model/MLmodel". Their bytes are content-addressed chunks, as those of
// checkpoints: a file stored twice costs once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace lctl::storage {

inline constexpr std::size_t kMaxArtifactPathBytes = 1'024;
inline constexpr std::size_t kMaxArtifactDepth = 64;
inline constexpr std::size_t kMaxArtifactsListed = 10'000;
inline constexpr std::int64_t kMaxArtifactBytes = std::int64_t{1} << 40;

struct Artifact {
  std::int64_t number = 0;  // of this content: stored anew, the path gets another; 0 for a folder
  std::string path;
  std::int64_t size = 0;
  bool folder = false;
};

// A file on its way in. Gone without commit(), it leaves nothing but chunks that garbage collection
// takes. Thread rule: caller locks.
class ArtifactWriter {
 public:
  virtual ~ArtifactWriter() = default;

  // InvalidArgument beyond kMaxArtifactBytes.
  virtual absl::Status append(std::string_view bytes) = 0;

  // Makes the whole file visible, in place of an earlier one of that path. FailedPrecondition when
  // the path is a folder, or a part of it a file. Aborted when the upload took so long that a chunk
  // is gone: send it again.
  virtual absl::Status commit() = 0;
};

// Part of Store; same errors and thread rule.
class ArtifactStore {
 public:
  virtual ~ArtifactStore() = default;

  // InvalidArgument as check_artifact_path().
  virtual absl::StatusOr<std::unique_ptr<ArtifactWriter>> write(const std::string& path) = 0;

  // The file; NotFound when there is none of that path.
  virtual absl::StatusOr<Artifact> find(std::string_view path) const = 0;

  // Up to `size` (at most 16 MiB) bytes of a file from `offset`; "" at its end. NotFound when it
  // was removed or replaced meanwhile; DataLoss, naming the file, when a chunk is damaged.
  virtual absl::StatusOr<std::string> read(std::int64_t number, std::int64_t offset,
                                           std::int64_t size) const = 0;

  // What lies in a folder, by path; nothing when there is no such folder. ResourceExhausted for
  // more than kMaxArtifactsListed entries.
  virtual absl::StatusOr<std::vector<Artifact>> list(std::string_view folder) const = 0;

  // Removes a file, or a folder with all in it. NotFound when there is neither.
  virtual absl::Status remove(std::string_view path) = 0;
};

// InvalidArgument, saying why, for a path that is empty or too long or deep, begins or ends with a
// slash, or has a part that is empty, "." or "..", or a backslash or control character in it. Pure.
absl::Status check_artifact_path(std::string_view path);

}  // namespace lctl::storage
