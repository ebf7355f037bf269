#include "worker/agent/file_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace lctl::agent {
namespace {

constexpr int kGatherMs = 5;

}  // namespace

FileWatch::FileWatch(std::vector<std::string> names, std::function<void()> on_change)
    : names_(std::move(names)),
      on_change_(std::move(on_change)),
      inotify_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      stop_(eventfd(0, EFD_CLOEXEC)) {
  if (inotify_.valid() && stop_.valid()) thread_ = std::thread([this] { run(); });
}

FileWatch::~FileWatch() {
  if (!thread_.joinable()) return;
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

bool FileWatch::add(const std::filesystem::path& folder) {
  if (!thread_.joinable()) return false;
  const int watch =
      inotify_add_watch(inotify_.get(), folder.c_str(), IN_MODIFY | IN_CREATE | IN_ONLYDIR);
  if (watch < 0) return false;
  const std::lock_guard lock(mutex_);
  watches_[folder] = watch;
  return true;
}

void FileWatch::remove(const std::filesystem::path& folder) {
  const std::lock_guard lock(mutex_);
  const auto found = watches_.find(folder);
  if (found == watches_.end()) return;
  inotify_rm_watch(inotify_.get(), found->second);  // refused when the folder is gone already
  watches_.erase(found);
}

void FileWatch::run() {
  pollfd waits[] = {{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                    {.fd = inotify_.get(), .events = POLLIN, .revents = 0}};
  while (true) {
    if (poll(waits, 2, -1) < 0) continue;
    if (waits[0].revents != 0) return;
    if (drain()) on_change_();
    // What comes meanwhile is told in one go.
    if (poll(waits, 1, kGatherMs) > 0) return;
  }
}

bool FileWatch::drain() {
  alignas(inotify_event) char buffer[16 << 10];
  bool changed = false;
  while (true) {
    const ssize_t got = read(inotify_.get(), buffer, sizeof(buffer));
    if (got <= 0) return changed;
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      // After an overflow anything may have changed.
      changed =
          changed || (event->mask & IN_Q_OVERFLOW) != 0 ||
          (event->len > 0 && std::find(names_.begin(), names_.end(), event->name) != names_.end());
    }
  }
}

}  // namespace lctl::agent
