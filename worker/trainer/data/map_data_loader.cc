#include "worker/trainer/data/map_data_loader.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace lctl {
namespace {

// torch's BatchSampler: groups of indices.
class IndexBatches {
 public:
  IndexBatches(std::unique_ptr<IndexIterator> indices, std::int64_t batch_size, bool drop_last)
      : indices_(std::move(indices)),
        batch_size_(static_cast<std::size_t>(batch_size)),
        drop_last_(drop_last) {}

  // Takes the first group now: its random draws happen here, and not at next().
  void look_ahead() { collect(ahead_.emplace()); }

  // Empty at the end. `batch` keeps its capacity, so that who asks with the same one again and
  // again makes no allocations.
  void next(std::vector<std::int64_t>& batch) {
    if (!ahead_.has_value()) return collect(batch);
    batch = *std::move(ahead_);
    ahead_.reset();
  }

 private:
  void collect(std::vector<std::int64_t>& batch) {
    batch.clear();
    batch.reserve(batch_size_);
    while (batch.size() < batch_size_) {
      const std::optional<std::int64_t> index = indices_->next();
      if (!index.has_value()) break;
      batch.push_back(*index);
    }
    if (drop_last_ && batch.size() < batch_size_) batch.clear();
  }

  std::unique_ptr<IndexIterator> indices_;
  std::size_t batch_size_;
  bool drop_last_;
  std::optional<std::vector<std::int64_t>> ahead_;
};

class DirectIterator final : public BatchIterator {
 public:
  DirectIterator(std::shared_ptr<const Dataset> dataset, IndexBatches batches)
      : dataset_(std::move(dataset)), batches_(std::move(batches)) {}

  std::optional<Batch> next() override {
    batches_.next(indices_);
    if (indices_.empty()) return std::nullopt;
    return dataset_->get_batch({.indices = indices_});
  }
  void skip(std::int64_t count) override {
    for (std::int64_t i = 0; i < count; ++i) batches_.next(indices_);
  }

 private:
  const std::shared_ptr<const Dataset> dataset_;  // the loader may be gone before its iterator
  IndexBatches batches_;
  std::vector<std::int64_t> indices_;  // of the current batch
};

// Threads take index lists from a queue and put batches into their slots; the caller takes the
// slots in order.
class WorkerIterator final : public BatchIterator {
 public:
  WorkerIterator(std::shared_ptr<const Dataset> dataset, IndexBatches batches, std::int64_t workers,
                 std::int64_t ahead)
      : dataset_(std::move(dataset)),
        batches_(std::move(batches)),
        ahead_(static_cast<std::size_t>(ahead)) {
    // torch asks for indices as soon as it has workers, so that a shuffling loader draws its seed
    // now.
    batches_.look_ahead();
    threads_.reserve(static_cast<std::size_t>(workers));
    for (std::int64_t i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
  }

  ~WorkerIterator() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wanted_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  std::optional<Batch> next() override {
    fill();
    std::unique_lock lock(mutex_);
    if (slots_.empty()) return std::nullopt;
    ready_.wait(lock, [&] { return slots_.front()->done; });
    const std::shared_ptr<Slot> slot = slots_.front();
    slots_.pop_front();
    lock.unlock();
    if (slot->error != nullptr) std::rethrow_exception(slot->error);
    return std::move(slot->batch);
  }

  void skip(std::int64_t count) override {
    // Called before the first next(): nothing is in flight yet.
    std::vector<std::int64_t> passed;
    for (std::int64_t i = 0; i < count; ++i) batches_.next(passed);
  }

 private:
  struct Slot {
    std::vector<std::int64_t> indices;
    Batch batch;
    std::exception_ptr error;
    bool done = false;
  };

  // Indices are drawn on the caller's thread: the global generator has one user.
  void fill() {
    while (!exhausted_) {
      {
        const std::lock_guard lock(mutex_);
        if (slots_.size() >= ahead_) return;
      }
      std::vector<std::int64_t> indices;
      batches_.next(indices);
      if (indices.empty()) {
        exhausted_ = true;
        return;
      }
      auto slot = std::make_shared<Slot>();
      slot->indices = std::move(indices);
      {
        const std::lock_guard lock(mutex_);
        slots_.push_back(slot);
        queue_.push_back(std::move(slot));
      }
      wanted_.notify_one();
    }
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      wanted_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      const std::shared_ptr<Slot> slot = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      try {
        slot->batch = dataset_->get_batch({.indices = slot->indices});
      } catch (...) {
        slot->error = std::current_exception();
      }
      lock.lock();
      slot->done = true;
      ready_.notify_one();
    }
  }

  const std::shared_ptr<const Dataset> dataset_;
  IndexBatches batches_;
  const std::size_t ahead_;
  bool exhausted_ = false;

  std::mutex mutex_;
  // State below is protected by mutex_ (a slot's contents belong to its worker until done).
  std::condition_variable wanted_;
  std::condition_variable ready_;
  std::deque<std::shared_ptr<Slot>> slots_;  // in the order of delivery
  std::deque<std::shared_ptr<Slot>> queue_;  // not taken by a worker yet
  bool stopping_ = false;

  std::vector<std::thread> threads_;
};

}  // namespace

MapDataLoader::MapDataLoader(std::shared_ptr<const Dataset> dataset, Options options)
    : MapDataLoader(dataset, options,
                    options.shuffle ? random_sampler(dataset->size(), options.generator)
                                    : sequential_sampler(dataset->size())) {}

MapDataLoader::MapDataLoader(std::shared_ptr<const Dataset> dataset, Options options,
                             std::shared_ptr<Sampler> sampler)
    : dataset_(std::move(dataset)), options_(std::move(options)), sampler_(std::move(sampler)) {
  if (options_.batch_size < 1) {
    throw std::invalid_argument(
        fmt::format("batch_size should be a positive integer value, but got batch_size={}",
                    options_.batch_size));
  }
  if (options_.num_workers < 0) {
    throw std::invalid_argument(
        "num_workers option should be non-negative; use num_workers=0 to "
        "load in the training thread");
  }
  if (options_.prefetch_factor < 1) {
    throw std::invalid_argument("prefetch_factor option should be at least 1");
  }
}

std::unique_ptr<BatchIterator> MapDataLoader::iterate() {
  // The base seed of torch's iterators. Our workers need none, but what is drawn after it must
  // match.
  if (options_.generator.has_value()) {
    at::Generator generator = *options_.generator;
    at::empty({}, at::TensorOptions().dtype(at::kLong)).random_(generator);
  } else {
    draw_seed();
  }
  IndexBatches batches(sampler_->iterate(), options_.batch_size, options_.drop_last);
  if (options_.num_workers == 0) {
    return std::make_unique<DirectIterator>(dataset_, std::move(batches));
  }
  return std::make_unique<WorkerIterator>(dataset_, std::move(batches), options_.num_workers,
                                          options_.num_workers * options_.prefetch_factor);
}

std::optional<std::int64_t> MapDataLoader::size() const {
  const std::int64_t samples = sampler_->size();
  if (options_.drop_last) return samples / options_.batch_size;
  return (samples + options_.batch_size - 1) / options_.batch_size;
}

std::shared_ptr<DataLoader> MapDataLoader::with_distributed_sampler(int world_size, int rank,
                                                                    bool shuffle,
                                                                    std::uint64_t seed, bool pad) {
  DistributedShare share;
  share.world_size = world_size;
  share.rank = rank;
  share.shuffle = shuffle;
  share.seed = seed;
  share.pad = pad;
  return std::shared_ptr<DataLoader>(
      new MapDataLoader(dataset_, options_, distributed_sampler(dataset_->size(), share)));
}

std::shared_ptr<DataLoader> MapDataLoader::with_sequential_sampler() {
  return std::shared_ptr<DataLoader>(
      new MapDataLoader(dataset_, options_, sequential_sampler(dataset_->size())));
}

std::shared_ptr<DataLoader> MapDataLoader::for_prediction() {
  Options options = options_;
  options.drop_last = false;
  return std::shared_ptr<DataLoader>(new MapDataLoader(dataset_, options, sampler_));
}

}  // namespace lctl
