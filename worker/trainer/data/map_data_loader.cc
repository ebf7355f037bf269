#include "worker/trainer/data/map_data_loader.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "worker/trainer/data/loading/batch_source.h"
#include "worker/trainer/data/loading/prefetch_iterator.h"

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

class MapSource final : public BatchSource {
 public:
  MapSource(std::shared_ptr<const Dataset> dataset, IndexBatches batches,
            CollateFunction collate_fn, std::uint64_t seed, SkippedSamples* skipped)
      : dataset_(std::move(dataset)),
        batches_(std::move(batches)),
        collate_fn_(std::move(collate_fn)),
        seed_(seed),
        skipped_(skipped) {}

  std::optional<Batch> make_next() override {
    batches_.next(indices_);
    if (indices_.empty()) return std::nullopt;
    return make(*dataset_, collate_fn_, take_request(indices_));
  }

  BatchTask next_task() override {
    std::vector<std::int64_t> indices;
    batches_.next(indices);
    if (indices.empty()) return nullptr;
    const BatchRequest request = take_request(indices);
    return [dataset = dataset_, collate_fn = collate_fn_, indices = std::move(indices), request] {
      BatchRequest mine = request;
      mine.indices = indices;
      return make(*dataset, collate_fn, mine);
    };
  }

  void look_ahead() override { batches_.look_ahead(); }

  bool skip_one() override {
    batches_.next(indices_);
    place_ += static_cast<std::int64_t>(indices_.size());
    return !indices_.empty();
  }

 private:
  BatchRequest take_request(std::span<const std::int64_t> indices) {
    const BatchRequest request{
        .indices = indices, .seed = seed_, .first_place = place_, .skipped = skipped_};
    place_ += static_cast<std::int64_t>(indices.size());
    return request;
  }

  static Batch make(const Dataset& dataset, const CollateFunction& collate_fn,
                    const BatchRequest& request) {
    return collate_fn ? collate_fn(get_samples(dataset, request)) : dataset.get_batch(request);
  }

  const std::shared_ptr<const Dataset> dataset_;  // the loader may be gone before its iterator
  IndexBatches batches_;
  const CollateFunction collate_fn_;
  const std::uint64_t seed_;
  SkippedSamples* const skipped_;
  std::int64_t place_ = 0;             // samples of this pass so far
  std::vector<std::int64_t> indices_;  // of the current batch; keeps its capacity
};

std::shared_ptr<Sampler> sampler_of(const Dataset& dataset, const MapDataLoader::Options& options) {
  if (options.sampler != nullptr) {
    if (options.shuffle)
      throw std::invalid_argument("sampler option is mutually exclusive with shuffle");
    return options.sampler;
  }
  return options.shuffle ? random_sampler(dataset.size(), options.generator)
                         : sequential_sampler(dataset.size());
}

PrefetchOptions prefetch_options(const MapDataLoader::Options& options) {
  return {.num_workers = options.num_workers,
          .prefetch_factor = options.prefetch_factor,
          .pin_memory = options.pin_memory,
          .persistent_workers = options.persistent_workers,
          .prefetch_memory = options.prefetch_memory,
          .skip_bad_samples = options.skip_bad_samples};
}

}  // namespace

MapDataLoader::MapDataLoader(std::shared_ptr<const Dataset> dataset, Options options)
    : MapDataLoader(dataset, options, sampler_of(*dataset, options)) {}

MapDataLoader::MapDataLoader(std::shared_ptr<const Dataset> dataset, Options options,
                             std::shared_ptr<Sampler> sampler)
    : dataset_(std::move(dataset)),
      options_(std::move(options)),
      sampler_(std::move(sampler)),
      workers_(std::make_shared<LoaderWorkers>(prefetch_options(options_))) {
  if (options_.batch_size < 1) {
    throw std::invalid_argument(
        fmt::format("batch_size should be a positive integer value, but got batch_size={}",
                    options_.batch_size));
  }
}

std::unique_ptr<BatchIterator> MapDataLoader::iterate() {
  // The base seed of torch's iterators.
  std::int64_t seed = 0;
  if (options_.generator.has_value()) {
    at::Generator generator = *options_.generator;
    seed =
        at::empty({}, at::TensorOptions().dtype(at::kLong)).random_(generator).item<std::int64_t>();
  } else {
    seed = draw_seed();
  }
  IndexBatches batches(sampler_->iterate(), options_.batch_size, options_.drop_last);
  return prefetched(
      std::make_unique<MapSource>(dataset_, std::move(batches), options_.collate_fn,
                                  static_cast<std::uint64_t>(seed), workers_->skipped()),
      workers_);
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
