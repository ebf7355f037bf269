// From one thread to another, not too far ahead.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace lctl::webdataset {

// Items come out in the order in which they went in, many at a time, so that a lock is taken once
// for many. Thread rule: internally locked; one thread puts in, one takes out, any may stop it.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t limit) : limit_(limit) {}

  // Waits while it is full. False once it is stopped.
  bool push(T item) {
    std::unique_lock lock(mutex_);
    has_room_.wait(lock, [&] { return items_.size() < limit_ || stopped_; });
    if (stopped_) return false;
    items_.push_back(std::move(item));
    if (items_.size() == 1) has_items_.notify_one();
    return true;
  }

  // No item will follow.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    has_items_.notify_one();
  }

  // Waits for items and takes all of them into `items`, which is empty. False behind the last one,
  // or once it is stopped.
  bool take_all(std::vector<T>& items) {
    std::unique_lock lock(mutex_);
    has_items_.wait(lock, [&] { return !items_.empty() || closed_ || stopped_; });
    if (stopped_ || items_.empty()) return false;
    items.swap(items_);
    has_room_.notify_one();
    return true;
  }

  // Lets go whoever waits.
  void stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    has_items_.notify_all();
    has_room_.notify_all();
  }

 private:
  const std::size_t limit_;
  std::mutex mutex_;
  std::condition_variable has_items_;
  std::condition_variable has_room_;
  std::vector<T> items_;  // guarded by mutex_, as all below
  bool closed_ = false;
  bool stopped_ = false;
};

}  // namespace lctl::webdataset
