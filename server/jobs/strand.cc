#include "server/jobs/strand.h"

#include <utility>

namespace lctl::jobs {

void Strand::start(Hooks hooks) {
  LCTL_CHECK(!thread_.joinable(), "a strand is started once");
  hooks_ = std::move(hooks);
  thread_ = std::thread([this] { run(); });
}

void Strand::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool Strand::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    posted_.push_back(std::move(work));
  }
  wake_.notify_one();
  return true;
}

void Strand::run() {
  std::vector<std::function<void()>> batch;
  while (true) {
    const std::optional<MonotonicTime> deadline = hooks_.next_deadline();
    {
      std::unique_lock lock(mutex_);
      const auto something = [this] { return stopping_ || !posted_.empty(); };
      if (deadline) {
        wake_.wait_for(lock, *deadline - clock_.monotonic_now(), something);
      } else {
        wake_.wait(lock, something);
      }
      if (stopping_ && posted_.empty()) return;
      batch.swap(posted_);
    }
    for (std::function<void()>& work : batch) work();
    batch.clear();
    hooks_.after_batch();
  }
}

}  // namespace lctl::jobs
