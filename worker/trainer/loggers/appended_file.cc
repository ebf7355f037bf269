#include "worker/trainer/loggers/appended_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>
#include <utility>

namespace lctl {
namespace {

constexpr std::string_view kWritableFolder = "save_dir must be a folder you may write to";

[[noreturn]] void fail(int error, std::string_view who, std::string_view doing,
                       const std::filesystem::path& path, std::string_view remedy) {
  throw std::system_error(error, std::generic_category(),
                          fmt::format("{}: {} {} ({})", who, doing, path.string(), remedy));
}

std::string_view remedy_of_write(int error) {
  return error == ENOSPC || error == EDQUOT ? "free space there, or give another save_dir"
                                            : "the folder must stay writable during the run";
}

}  // namespace

AppendedFile::AppendedFile(std::filesystem::path path, std::string who, bool must_be_new)
    : path_(std::move(path)), who_(std::move(who)) {
  const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (must_be_new ? O_EXCL : O_TRUNC);
  file_ = open(path_.c_str(), flags, 0666);
  if (file_ < 0) fail(errno, who_, "creating", path_, kWritableFolder);
}

AppendedFile::~AppendedFile() {
  if (file_ >= 0) ::close(file_);
}

void AppendedFile::flush() {
  std::size_t written = 0;
  while (written < waiting_.size()) {
    const ssize_t count = write(file_, waiting_.data() + written, waiting_.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const int error = errno;
      waiting_.erase(0, written);
      fail(error, who_, "writing", path_, remedy_of_write(error));
    }
    written += static_cast<std::size_t>(count);
  }
  waiting_.clear();  // keeps its memory
}

void AppendedFile::close() {
  if (file_ < 0) return;
  flush();
  if (::close(std::exchange(file_, -1)) != 0)
    fail(errno, who_, "closing", path_, "its end may be missing");
}

void make_folders(const std::filesystem::path& folder, std::string_view who) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail(error.value(), who, "making the folder", folder, kWritableFolder);
}

void write_whole_file(const std::filesystem::path& path, std::string_view text,
                      std::string_view who) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) fail(errno, who, "writing", path, remedy_of_write(errno));
}

}  // namespace lctl
