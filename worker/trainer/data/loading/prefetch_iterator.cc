#include "worker/trainer/data/loading/prefetch_iterator.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

namespace lctl {
namespace {

Batch pinned(const Batch& batch, const std::function<at::Tensor(const at::Tensor&)>& pin) {
  return pin ? batch.transformed(pin) : batch;
}

class DirectIterator final : public BatchIterator {
 public:
  DirectIterator(std::unique_ptr<BatchSource> source, std::shared_ptr<LoaderWorkers> workers)
      : workers_(std::move(workers)), source_(std::move(source)) {
    workers_->pass_begins();
  }

  std::optional<Batch> next() override {
    const MonotonicTime asked = workers_->now();
    std::optional<Batch> batch = source_->make_next();
    if (!batch) return std::nullopt;
    if (workers_->pin()) batch = pinned(*batch, workers_->pin());
    workers_->handed_out(asked, workers_->now(), 0);
    return batch;
  }

  void skip(std::int64_t count) override {
    while (count-- > 0 && source_->skip_one()) {
    }
  }

 private:
  const std::shared_ptr<LoaderWorkers> workers_;
  const std::unique_ptr<BatchSource> source_;
};

// A batch on its way, shared by the pass and the worker that makes it.
struct Slot {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;  // under mutex; what follows is the worker's until then
  Batch batch;
  std::exception_ptr error;
  std::int64_t bytes = 0;
  BatchTask task;
  std::function<at::Tensor(const at::Tensor&)> pin;
  std::atomic<bool> dropped = false;  // nobody waits for it

  void make() {
    if (!dropped) {
      try {
        batch = pinned(task(), pin);
        bytes = bytes_of(batch);
      } catch (...) {
        error = std::current_exception();
      }
    }
    task = nullptr;  // lets go of the data set here, and not at the training thread
    {
      const std::lock_guard lock(mutex);
      done = true;
    }
    changed.notify_one();
  }

  bool is_done() {
    const std::lock_guard lock(mutex);
    return done;
  }
  void wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return done; });
  }
};

// Thread rule: one strand only (the training thread).
class WorkerIterator final : public BatchIterator {
 public:
  WorkerIterator(std::unique_ptr<BatchSource> source, std::shared_ptr<LoaderWorkers> workers)
      : workers_(std::move(workers)), source_(std::move(source)), pool_(workers_->pool()) {
    source_->look_ahead();
    workers_->pass_begins();
  }

  ~WorkerIterator() override {
    for (const auto& slot : slots_) slot->dropped = true;
    pool_.reset();
    workers_->release();
    workers_->set_bytes_ahead(0);
  }

  std::optional<Batch> next() override {
    const MonotonicTime asked = workers_->now();
    fill();
    if (slots_.empty()) return std::nullopt;
    const std::shared_ptr<Slot> slot = std::move(slots_.front());
    slots_.pop_front();
    slot->wait();
    if (slot->bytes > 0) bytes_of_newest_ = slot->bytes;
    workers_->handed_out(asked, workers_->now(), slot->bytes);
    fill();  // while training computes
    if (slot->error != nullptr) std::rethrow_exception(slot->error);
    return std::move(slot->batch);
  }

  void skip(std::int64_t count) override {
    for (; count > 0 && !slots_.empty(); --count) {
      slots_.front()->dropped = true;
      slots_.pop_front();
    }
    while (count-- > 0 && source_->skip_one()) {
    }
  }

 private:
  // Batches that are not made yet count as large as the newest one.
  std::int64_t bytes_ahead() const {
    std::int64_t bytes = 0;
    for (const auto& slot : slots_) bytes += slot->is_done() ? slot->bytes : bytes_of_newest_;
    return bytes;
  }

  // One batch always may. How large they are is known once there was one.
  bool may_be_ahead(std::int64_t bytes) {
    if (slots_.empty()) return true;
    if (bytes_of_newest_ == 0) return slots_.size() < 2;
    return bytes <= workers_->bytes_ahead_limit();
  }

  // Source and random draws are the training thread's.
  void fill() {
    const auto wanted = static_cast<std::size_t>(workers_->batches_ahead());
    std::int64_t bytes = bytes_ahead();
    while (!exhausted_ && slots_.size() < wanted && may_be_ahead(bytes + bytes_of_newest_)) {
      auto slot = std::make_shared<Slot>();
      slot->task = source_->next_task();
      if (slot->task == nullptr) {
        exhausted_ = true;
        break;
      }
      slot->pin = workers_->pin();
      bytes += bytes_of_newest_;
      slots_.push_back(slot);
      pool_->submit([slot = std::move(slot)] { slot->make(); });
    }
    workers_->set_bytes_ahead(bytes);
  }

  const std::shared_ptr<LoaderWorkers> workers_;
  const std::unique_ptr<BatchSource> source_;
  std::shared_ptr<WorkerPool> pool_;
  std::deque<std::shared_ptr<Slot>> slots_;  // in the order of delivery
  std::int64_t bytes_of_newest_ = 0;
  bool exhausted_ = false;
};

}  // namespace

std::int64_t bytes_of(const Batch& batch) {
  std::int64_t sum = 0;
  batch.visit(
      [&sum](const at::Tensor& tensor) { sum += static_cast<std::int64_t>(tensor.nbytes()); });
  return sum;
}

std::unique_ptr<BatchIterator> prefetched(std::unique_ptr<BatchSource> source,
                                          std::shared_ptr<LoaderWorkers> workers) {
  if (workers->count() == 0)
    return std::make_unique<DirectIterator>(std::move(source), std::move(workers));
  return std::make_unique<WorkerIterator>(std::move(source), std::move(workers));
}

}  // namespace lctl
