#include "worker/trainer/data/map_data_loader.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/batch_builder.h"
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
    indices_->take(batch_size_, batch);
    if (drop_last_ && batch.size() < batch_size_) batch.clear();
  }

  std::unique_ptr<IndexIterator> indices_;
  std::size_t batch_size_;
  bool drop_last_;
  std::optional<std::vector<std::int64_t>> ahead_;
};

// What all batches of a pass are made with.
struct MapPass {
  std::shared_ptr<const Dataset> dataset;  // the loader may be gone before its iterator
  CollateFunction collate_fn;
  BatchMemory memory;
  std::uint64_t seed = 0;
  SkippedSamples* skipped = nullptr;
};

class MapWork final : public BatchWork {
 public:
  MapWork(std::shared_ptr<const MapPass> pass, std::vector<std::int64_t> indices,
          BatchRequest request)
      : pass_(std::move(pass)),
        indices_(std::move(indices)),
        request_(request),
        quick_(!pass_->collate_fn && pass_->dataset->samples_at_once() > 0),
        at_once_(quick_ ? pass_->dataset->samples_at_once() : samples_of_a_part(indices_.size())),
        batch_(indices_.size(), pass_->memory) {
    request_.indices = indices_;
    if (pass_->collate_fn) samples_.resize(indices_.size());
  }

  std::size_t parts() const override { return (indices_.size() + at_once_ - 1) / at_once_; }

  bool quick() const override { return quick_; }

  void make(std::size_t part) override {
    const BatchRequest mine = request_.part(part * at_once_, at_once_);
    if (!pass_->collate_fn) return pass_->dataset->put_rows(mine, batch_);
    for (std::size_t i = 0; i < mine.indices.size(); ++i)
      samples_[mine.first_row + i] = get_sample(*pass_->dataset, mine, i);
  }

  Batch finish() override { return pass_->collate_fn ? collated() : batch_.finish(); }

 private:
  // By the user's function.
  Batch collated() {
    std::vector<Batch> samples;
    samples.reserve(samples_.size());
    for (std::optional<Batch>& sample : samples_) {
      if (sample) samples.push_back(*std::move(sample));
    }
    if (samples.empty()) throw_nothing_left(samples_.size());
    return in_memory(pass_->collate_fn(std::move(samples)), pass_->memory);
  }

  const std::shared_ptr<const MapPass> pass_;
  const std::vector<std::int64_t> indices_;
  BatchRequest request_;
  const bool quick_;
  const std::size_t at_once_;
  BatchBuilder batch_;
  std::vector<std::optional<Batch>> samples_;  // with a collate function
};

class MapSource final : public BatchSource {
 public:
  MapSource(MapPass pass, IndexBatches batches)
      : pass_(std::make_shared<const MapPass>(std::move(pass))), batches_(std::move(batches)) {}

  std::optional<Batch> make_next() override {
    batches_.next(indices_);
    if (indices_.empty()) return std::nullopt;
    const BatchRequest request = take_request(indices_);
    if (!pass_->collate_fn) return pass_->dataset->get_batch(request, pass_->memory);
    MapWork work(pass_, indices_, request);
    return make_whole(work);
  }

  std::unique_ptr<BatchWork> next_work() override {
    std::vector<std::int64_t> indices;
    batches_.next(indices);
    if (indices.empty()) return nullptr;
    const BatchRequest request = take_request(indices);
    return std::make_unique<MapWork>(pass_, std::move(indices), request);
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
        .indices = indices, .seed = pass_->seed, .first_place = place_, .skipped = pass_->skipped};
    place_ += static_cast<std::int64_t>(indices.size());
    return request;
  }

  const std::shared_ptr<const MapPass> pass_;
  IndexBatches batches_;
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
  MapPass pass{.dataset = dataset_,
               .collate_fn = options_.collate_fn,
               .memory = workers_->batch_memory(),
               .seed = static_cast<std::uint64_t>(seed),
               .skipped = workers_->skipped()};
  return prefetched(std::make_unique<MapSource>(std::move(pass), std::move(batches)), workers_);
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
  share.pad_to = options_.pad_to;
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
