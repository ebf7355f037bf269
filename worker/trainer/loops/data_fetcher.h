// Hands out batches one by one and knows when the last one is out.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "worker/trainer/core/random.h"
#include "worker/trainer/data/batch.h"
#include "worker/trainer/data/data_loader.h"
#include "worker/trainer/profilers/profiler.h"

namespace lctl {

inline constexpr std::int64_t kInfiniteBatches = std::numeric_limits<std::int64_t>::max();

// A batch and where it came from.
struct FetchedBatch {
  Batch batch;
  std::int64_t batch_idx = 0;  // within its loader
  std::int64_t dataloader_idx = 0;
};

// Runs through loaders one after another, each up to its limit. With known lengths nothing is
// fetched ahead and the last batch is known by count; a loader without length is read one batch
// ahead. Thread rule: one strand only (the training thread).
class DataFetcher {
 public:
  // `limits[i]`: batches of loader i, kInfiniteBatches = until it ends.
  void setup(std::vector<std::shared_ptr<DataLoader>> loaders, std::vector<std::int64_t> limits);

  // Makes a new iterator (drawing what torch draws) and forgets the count.
  void start();

  // From now on, until setup(), each batch that is taken is that action of the profiler. Null:
  // none.
  void profile_as(Profiler* profiler, std::string_view action);

  // False when there is none left.
  bool next(FetchedBatch& out);

  // After start(): goes on as if `count` batches had been handed out.
  void skip(std::int64_t count);

  // Whether the newest batch is the last one.
  bool done() const { return done_; }

  // Batches handed out since start(), plus what a restart adds so that done() is right.
  std::int64_t fetched() const { return fetched_; }
  void add_fetched(std::int64_t count) { fetched_ += count; }

  // Batches really taken from the loaders since start().
  std::int64_t taken() const { return taken_; }

  // Sum of the lengths; kInfiniteBatches when one is not known.
  std::int64_t length() const { return length_; }

  // The CPU generator's state when start() was called; undefined unless remember_generator() was.
  const at::Tensor& generator_before() const { return generator_before_; }
  void remember_generator() { remember_ = true; }

  void clear();

 private:
  bool fetch(FetchedBatch& out);
  void open_current();

  std::vector<std::shared_ptr<DataLoader>> loaders_;
  std::vector<std::int64_t> limits_;
  std::int64_t length_ = 0;
  std::size_t current_ = 0;
  std::unique_ptr<BatchIterator> iterator_;
  std::int64_t batch_idx_ = 0;
  std::optional<FetchedBatch> ahead_;  // only without length
  std::int64_t fetched_ = 0;
  std::int64_t taken_ = 0;
  bool done_ = false;
  bool remember_ = false;
  at::Tensor generator_before_;
  Profiler* profiler_ = nullptr;
  const Action* action_ = nullptr;
};

}  // namespace lctl
