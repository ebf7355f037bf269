#include "worker/trainer/data/loading/worker_pool.h"

#include <ATen/Parallel.h>
#include <omp.h>
#include <pthread.h>

#include <string>
#include <utility>

#include "base/check.h"

namespace lctl {

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    allowed_ = 0;
    tasks_.clear();
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void WorkerPool::submit(std::shared_ptr<Task> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

WorkerPool::OneCore::OneCore() {
  at::get_num_threads();  // LibTorch's own setting for a thread comes first
  before_ = omp_get_max_threads();
  omp_set_num_threads(1);
}

WorkerPool::OneCore::~OneCore() { omp_set_num_threads(before_); }

void WorkerPool::resize(std::size_t workers) {
  LCTL_CHECK(workers >= 1, "a pool has workers");
  {
    const std::lock_guard lock(mutex_);
    allowed_ = workers;
    if (running_.size() < workers) running_.resize(workers, false);
  }
  changed_.notify_all();
  if (threads_.size() < workers) threads_.resize(workers);
  wanted_ = workers;
  for (std::size_t number = 0; number < workers; ++number) {
    {
      // One that was on its way out and sees in time that it is wanted again stays.
      const std::lock_guard lock(mutex_);
      if (running_[number]) continue;
      running_[number] = true;
    }
    if (threads_[number].joinable()) threads_[number].join();
    threads_[number] = std::thread([this, number] { run(number); });
  }
}

void WorkerPool::run(std::size_t number) {
  pthread_setname_np(pthread_self(), ("lctl-data-" + std::to_string(number)).c_str());
  const OneCore one_core;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return number >= allowed_ || !tasks_.empty(); });
    if (number >= allowed_) break;
    std::shared_ptr<Task> task = tasks_.front();
    lock.unlock();
    task->help();
    lock.lock();
    if (!tasks_.empty() && tasks_.front() == task) tasks_.pop_front();
  }
  running_[number] = false;
}

}  // namespace lctl
