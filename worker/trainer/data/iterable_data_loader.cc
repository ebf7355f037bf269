#include "worker/trainer/data/iterable_data_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <utility>
#include <vector>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/batch_builder.h"
#include "worker/trainer/data/loading/batch_source.h"
#include "worker/trainer/data/loading/prefetch_iterator.h"
#include "worker/trainer/data/sampler.h"

namespace lctl {
namespace {

// The samples of one batch, still to be made; or why the stream could not go on there.
struct Group {
  std::vector<PendingSample> samples;
  std::exception_ptr error;
  bool empty() const { return samples.empty() && error == nullptr; }
};

class StreamWork final : public BatchWork {
 public:
  StreamWork(Group group, std::uint64_t seed, std::int64_t first_place, SkippedSamples* skipped,
             const BatchMemory& memory)
      : group_(std::move(group)),
        seed_(seed),
        first_place_(first_place),
        skipped_(skipped),
        at_once_(samples_of_a_part(group_.samples.size())),
        batch_(group_.samples.size(), memory) {}

  std::size_t parts() const override {
    return group_.error != nullptr ? 1 : (group_.samples.size() + at_once_ - 1) / at_once_;
  }

  void make(std::size_t part) override {
    if (group_.error != nullptr) std::rethrow_exception(group_.error);
    const std::size_t end = std::min((part + 1) * at_once_, group_.samples.size());
    for (std::size_t row = part * at_once_; row < end; ++row) make_row(row);
  }

  Batch finish() override { return batch_.finish(); }

 private:
  void make_row(std::size_t row) {
    const auto place = static_cast<std::uint64_t>(first_place_) + row;
    RandomStream random(seed_, place, place);
    PendingSample& sample = group_.samples[row];
    try {
      if (sample.put) {
        sample.put(batch_, row, random);
      } else {
        batch_.put(row, sample.make(random));
      }
    } catch (...) {
      handle_sample_error(fmt::format("sample {} ({})", place, sample.name), skipped_);
    }
    sample = {};  // its bytes are not wanted any more
  }

  Group group_;
  const std::uint64_t seed_;
  const std::int64_t first_place_;
  SkippedSamples* const skipped_;
  const std::size_t at_once_;
  BatchBuilder batch_;
};

class StreamSource final : public BatchSource {
 public:
  StreamSource(std::unique_ptr<SampleStream> stream, std::uint64_t seed,
               const IterableDataLoader::Options& options, SkippedSamples* skipped,
               BatchMemory memory)
      : stream_(std::move(stream)),
        seed_(seed),
        batch_size_(static_cast<std::size_t>(options.batch_size)),
        drop_last_(options.drop_last),
        skipped_(skipped),
        memory_(std::move(memory)) {}

  std::optional<Batch> make_next() override {
    const std::unique_ptr<BatchWork> work = next_work();
    if (work == nullptr) return std::nullopt;
    return make_whole(*work);
  }

  std::unique_ptr<BatchWork> next_work() override {
    const std::int64_t place = place_;
    Group group = collect();
    if (group.empty()) return nullptr;
    return std::make_unique<StreamWork>(std::move(group), seed_, place, skipped_, memory_);
  }

  bool skip_one() override { return !collect().empty(); }

 private:
  Group collect() {
    Group group;
    group.samples.reserve(batch_size_);
    while (group.samples.size() < batch_size_) {
      try {
        std::optional<PendingSample> sample = stream_->next();
        if (!sample) break;
        group.samples.push_back(*std::move(sample));
      } catch (const BadSample& error) {
        if (skipped_ == nullptr) {
          group.error = std::current_exception();
          break;
        }
        skipped_->add(error.what());
      } catch (...) {
        group.error = std::current_exception();
        break;
      }
    }
    place_ += static_cast<std::int64_t>(group.samples.size());
    if (drop_last_ && group.error == nullptr && group.samples.size() < batch_size_)
      group.samples.clear();
    return group;
  }

  const std::unique_ptr<SampleStream> stream_;
  const std::uint64_t seed_;
  const std::size_t batch_size_;
  const bool drop_last_;
  SkippedSamples* const skipped_;
  const BatchMemory memory_;
  std::int64_t place_ = 0;  // samples of this pass so far
};

}  // namespace

IterableDataLoader::IterableDataLoader(std::shared_ptr<const IterableDataset> dataset,
                                       Options options)
    : dataset_(std::move(dataset)),
      options_(std::move(options)),
      workers_(std::make_shared<LoaderWorkers>(options_.prefetch)) {
  if (options_.batch_size < 1) {
    throw std::invalid_argument(
        fmt::format("batch_size should be a positive integer value, but got batch_size={}",
                    options_.batch_size));
  }
}

void IterableDataLoader::fit_to(const LoaderSurroundings& surroundings) {
  rank_ = surroundings.rank;
  world_size_ = surroundings.world_size;
  workers_->fit_to(surroundings);
}

std::unique_ptr<BatchIterator> IterableDataLoader::iterate() {
  const auto seed = static_cast<std::uint64_t>(draw_seed());
  const StreamPass pass{.seed = seed, .epoch = epoch_, .rank = rank_, .world_size = world_size_};
  return prefetched(std::make_unique<StreamSource>(dataset_->iterate(pass), seed, options_,
                                                   workers_->skipped(), workers_->batch_memory()),
                    workers_);
}

std::optional<std::int64_t> IterableDataLoader::dataset_length() const {
  return dataset_->size(rank_, world_size_);
}

std::optional<std::int64_t> IterableDataLoader::size() const {
  const std::optional<std::int64_t> samples = dataset_length();
  if (!samples) return std::nullopt;
  if (options_.drop_last) return *samples / options_.batch_size;
  return (*samples + options_.batch_size - 1) / options_.batch_size;
}

std::shared_ptr<DataLoader> IterableDataLoader::with_distributed_sampler(int, int, bool,
                                                                         std::uint64_t, bool) {
  return std::make_shared<IterableDataLoader>(*this);
}

std::shared_ptr<DataLoader> IterableDataLoader::with_sequential_sampler() {
  return std::make_shared<IterableDataLoader>(*this);
}

std::shared_ptr<DataLoader> IterableDataLoader::for_prediction() {
  auto copy = std::make_shared<IterableDataLoader>(*this);
  copy->options_.drop_last = false;
  return copy;
}

}  // namespace lctl
