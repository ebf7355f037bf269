// Makes sure that one process at a time holds a store's folder.
#pragma once

#include <filesystem>

#include "base/status.h"

namespace lctl::storage {

// An exclusive flock(2) on <dir>/lctl.lock, which holds the owner's pid. The kernel drops it when
// the process ends, however it ends. Thread rule: immutable.
class FolderLock {
 public:
  // Unavailable, with the holder's pid, when another FolderLock (of any process) holds the folder.
  static absl::StatusOr<FolderLock> take(const std::filesystem::path& dir);

  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace lctl::storage
