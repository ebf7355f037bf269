#include "server/services/batch_queue.h"

#include <utility>

namespace lctl::services {

// One batch always fits, however large it is.
bool BatchQueue::has_room() const {
  return waiting_.empty() || (waiting_.size() < kMaxBatches && bytes_ < kMaxBytes);
}

bool BatchQueue::push(v1::IngestBatch batch) {
  const std::size_t size = batch.ByteSizeLong();
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || has_room(); });
    if (closed_) return false;
    waiting_.push_back(std::move(batch));
    bytes_ += size;
  }
  changed_.notify_all();
  return true;
}

std::vector<v1::IngestBatch> BatchQueue::pop_all() {
  std::vector<v1::IngestBatch> taken;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
    taken.swap(waiting_);
    bytes_ = 0;
  }
  changed_.notify_all();
  return taken;
}

void BatchQueue::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

}  // namespace lctl::services
