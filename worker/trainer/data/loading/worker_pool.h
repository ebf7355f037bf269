// The threads of a loader.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace lctl {

// Works on shared tasks in the order in which they came: idle threads join in the oldest one as
// long as something of it is left to begin, so that it is done early. The threads compute with one
// core each: LibTorch's operators start no further ones there. Thread rule: submit() and resize()
// from one strand.
class WorkerPool {
 public:
  // What several threads do together.
  class Task {
   public:
    virtual ~Task() = default;
    // Works along until nothing of it is left to begin. Any threads, any number at once, others
    // than the pool's, too. Must not throw.
    virtual void help() = 0;
  };

  explicit WorkerPool(std::size_t workers) { resize(workers); }
  // Waits for tasks that have begun; drops the others.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void submit(std::shared_ptr<Task> task);

  // While it lives, LibTorch's operators on this thread use one core, as in the pool's threads.
  class OneCore {
   public:
    OneCore();
    ~OneCore();
    OneCore(const OneCore&) = delete;
    OneCore& operator=(const OneCore&) = delete;

   private:
    int before_;
  };

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
  std::deque<std::shared_ptr<Task>> tasks_;
  std::size_t allowed_ = 0;    // threads with a number from here on leave
  std::vector<bool> running_;  // by number
};

}  // namespace lctl
