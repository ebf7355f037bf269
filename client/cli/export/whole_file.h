// A file that appears when it is whole.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lctl::cli {

// Written as "<path>.part", synced and renamed by finish(). Without finish() the part is deleted.
// Thread rule: caller locks.
class WholeFile {
 public:
  static absl::StatusOr<WholeFile> create(const std::string& path);
  WholeFile(WholeFile&&) = default;
  WholeFile& operator=(WholeFile&&) = delete;
  ~WholeFile();

  // An error here is told by finish() too.
  absl::Status write(std::string_view bytes);
  absl::Status finish();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  WholeFile(std::string path, std::FILE* file) : path_(std::move(path)), file_(file) {}

  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;  // null once finished or moved from
};

// The whole of a small file.
absl::Status write_whole(const std::string& path, std::string_view text);

}  // namespace lctl::cli
