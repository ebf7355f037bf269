#include "worker/trainer/data/loading/prefetch_iterator.h"

#include <atomic>
#include <cstddef>
#include <deque>
#include <exception>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>

namespace lctl {
namespace {

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

// A batch on its way, shared by the pass and all who make it.
class Slot final : public WorkerPool::Task {
 public:
  explicit Slot(std::unique_ptr<BatchWork> work)
      : work_(std::move(work)),
        parts_(work_->parts()),
        quick_(work_->quick()),
        unfinished_(parts_) {}

  void help() override {
    while (help_once()) {
    }
  }

  // Makes one part; false when none is left to begin.
  bool help_once() {
    const std::size_t part = next_++;
    if (part >= parts_) return false;
    make(part);
    if (--unfinished_ == 0) finish();
    return true;
  }

  // Nobody waits for it.
  void drop() { dropped_ = true; }

  bool done() const { return done_; }
  bool quick() const { return quick_; }
  void wait() const { done_.wait(false); }

  // Once it is done.
  std::int64_t bytes() const { return bytes_; }
  Batch take() {
    if (error_ != nullptr) std::rethrow_exception(error_);
    return std::move(batch_);
  }

 private:
  void make(std::size_t part) {
    // Parts before one that failed are still wanted: the first error in the batch's order counts.
    if (dropped_ || part > failed_part_) return;
    try {
      work_->make(part);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (part > failed_part_) return;
      failed_part_ = part;
      error_ = std::current_exception();
    }
  }

  void finish() {
    if (!dropped_ && error_ == nullptr) {
      try {
        batch_ = work_->finish();
        bytes_ = bytes_of(batch_);
      } catch (...) {
        error_ = std::current_exception();
      }
    }
    work_.reset();  // lets go of the data set here, and not at the training thread
    done_ = true;
    done_.notify_all();
  }

  std::unique_ptr<BatchWork> work_;
  const std::size_t parts_;
  const bool quick_;
  std::atomic<std::size_t> next_ = 0;  // part to begin
  std::atomic<std::size_t> unfinished_;
  std::atomic<bool> dropped_ = false;
  std::atomic<std::size_t> failed_part_ = std::numeric_limits<std::size_t>::max();
  std::mutex mutex_;          // for error_, until all parts are finished
  std::exception_ptr error_;  // of failed_part_
  Batch batch_;
  std::int64_t bytes_ = 0;
  std::atomic<bool> done_ = false;
};

// Thread rule: one strand only (the training thread).
class WorkerIterator final : public BatchIterator {
 public:
  WorkerIterator(std::unique_ptr<BatchSource> source, std::shared_ptr<LoaderWorkers> workers)
      : workers_(std::move(workers)), source_(std::move(source)), pool_(workers_->pool()) {
    // A threaded permutation would leave LibTorch's threads spinning on the workers' cores.
    const WorkerPool::OneCore one_core;
    source_->look_ahead();
    workers_->pass_begins();
  }

  ~WorkerIterator() override {
    for (const auto& slot : slots_) slot->drop();
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
    make_along(*slot);
    slot->wait();
    if (slot->bytes() > 0) bytes_of_newest_ = slot->bytes();
    workers_->handed_out(asked, workers_->now(), slot->bytes());
    fill();  // while training computes
    return slot->take();
  }

  void skip(std::int64_t count) override {
    for (; count > 0 && !slots_.empty(); --count) {
      slots_.front()->drop();
      slots_.pop_front();
    }
    while (count-- > 0 && source_->skip_one()) {
    }
  }

 private:
  // Instead of waiting: of the batch what nobody has begun, and then quick parts of the next ones.
  void make_along(Slot& slot) {
    const WorkerPool::OneCore one_core;
    slot.help();
    for (std::size_t next = 0; slot.quick() && !slot.done() && next < slots_.size();) {
      if (!slots_[next]->help_once()) ++next;
    }
  }

  // Batches that are not made yet count as large as the newest one.
  std::int64_t bytes_ahead() const {
    std::int64_t bytes = 0;
    for (const auto& slot : slots_) bytes += slot->done() ? slot->bytes() : bytes_of_newest_;
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
      std::unique_ptr<BatchWork> work = source_->next_work();
      if (work == nullptr) {
        exhausted_ = true;
        break;
      }
      bytes += bytes_of_newest_;
      slots_.push_back(std::make_shared<Slot>(std::move(work)));
      pool_->submit(slots_.back());
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
