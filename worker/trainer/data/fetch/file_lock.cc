#include "worker/trainer/data/fetch/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "worker/trainer/data/fetch/durable_file.h"
#include "worker/trainer/data/fetch/fetch_error.h"

namespace lctl {
namespace {

constexpr std::chrono::milliseconds kPoll{50};
constexpr std::size_t kMaxHolderText = 300;

Descriptor open_lock_file(int folder, const std::string& name) {
  Descriptor file(
      openat(folder, name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
  if (!file.valid()) throw_errno("opening the lock " + name);
  return file;
}

bool try_lock(const Descriptor& file, const std::string& name) {
  if (flock(file.get(), LOCK_EX | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK || errno == EINTR) return false;
  throw_errno("locking " + name);
}

// Somebody may have cleaned the folder while we waited: then others lock another file.
bool still_there(const Descriptor& file, int folder, const std::string& name) {
  struct stat ours = {};
  struct stat named = {};
  return fstat(file.get(), &ours) == 0 &&
         fstatat(folder, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

// "process 71 on node-3", as its holder wrote it.
std::string holder(int folder, const std::string& name) {
  const std::string text = read_small_file(folder, name, kMaxHolderText).value_or("");
  const std::size_t end = text.find('\n');
  return end == std::string::npos ? "another process" : text.substr(0, end);
}

// Only for messages, so it does not matter when the disk is full.
void write_holder(const Descriptor& file) {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  const std::string text = fmt::format("process {} on {}\n", getpid(), host);
  if (ftruncate(file.get(), 0) != 0 || pwrite(file.get(), text.data(), text.size(), 0) < 0) return;
}

}  // namespace

FileLock::FileLock(int folder, const std::string& name, const Waiting& waiting) {
  bool said = false;
  file_ = open_lock_file(folder, name);
  while (true) {
    if (try_lock(file_, name)) {
      if (still_there(file_, folder, name)) break;
      file_ = Descriptor();
      file_ = open_lock_file(folder, name);
      continue;
    }
    if (!said && waiting.say)
      waiting.say(fmt::format("waiting for {}, which {}", holder(folder, name), waiting.what));
    said = true;
    if (waiting.stopped && waiting.stopped())
      throw FetchError(FetchErrorKind::kCancelled, false,
                       fmt::format("stopped while waiting for {}, which {}", holder(folder, name),
                                   waiting.what));
    std::this_thread::sleep_for(kPoll);
  }
  write_holder(file_);
}

}  // namespace lctl
