// The threads of a loader.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace lctl {

// Runs tasks in the order in which they came, each on one of its threads. The threads compute with
// one core each: LibTorch's operators start no further ones there. Thread rule: submit() and
// resize() from one strand; tasks run on the pool's threads and must not throw.
class WorkerPool {
 public:
  explicit WorkerPool(std::size_t workers) { resize(workers); }
  // Waits for tasks that have begun; drops the others.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void submit(std::function<void()> task);

  // More threads at once; fewer as soon as those that are too many have done their tasks. >= 1.
  void resize(std::size_t workers);
  std::size_t size() const { return wanted_; }

 private:
  void run(std::size_t number);

  std::size_t wanted_ = 0;            // the owner's view
  std::vector<std::thread> threads_;  // [0, wanted_) run; the others are on their way out

  std::mutex mutex_;
  // State below is protected by mutex_.
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::size_t allowed_ = 0;    // threads with a number from here on leave
  std::vector<bool> running_;  // by number
};

}  // namespace lctl
