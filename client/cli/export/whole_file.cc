#include "client/cli/export/whole_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "base/status.h"

namespace lctl::cli {
namespace {

absl::Status cannot_write(const std::string& path) {
  return errno_status(errno, fmt::format("cannot write {}", path));
}

std::string part_of(const std::string& path) { return path + ".part"; }

}  // namespace

absl::StatusOr<WholeFile> WholeFile::create(const std::string& path) {
  std::FILE* file = std::fopen(part_of(path).c_str(), "we");
  if (file == nullptr) return cannot_write(part_of(path));
  return WholeFile(path, file);
}

WholeFile::~WholeFile() {
  if (file_ != nullptr) ::unlink(part_of(path_).c_str());
}

absl::Status WholeFile::write(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) == bytes.size()) {
    return absl::OkStatus();
  }
  return cannot_write(part_of(path_));
}

absl::Status WholeFile::finish() {
  if (std::ferror(file_.get()) != 0 || std::fflush(file_.get()) != 0 ||
      ::fsync(::fileno(file_.get())) != 0 ||
      std::rename(part_of(path_).c_str(), path_.c_str()) != 0) {
    return cannot_write(path_);
  }
  file_.reset();
  return absl::OkStatus();
}

absl::Status write_whole(const std::string& path, std::string_view text) {
  LCTL_ASSIGN_OR_RETURN(WholeFile file, WholeFile::create(path));
  LCTL_RETURN_IF_ERROR(file.write(text));
  return file.finish();
}

}  // namespace lctl::cli
