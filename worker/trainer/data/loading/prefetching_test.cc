// What holds for every loader whatever prepares its batches: order, bits, errors, bounds, a clean
// end.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "base/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/data/iterable_data_loader.h"
#include "worker/trainer/data/map_data_loader.h"

namespace lctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Numbers = std::vector<double>;

// Augmented samples, some slower than others, so that workers overtake each other.
struct Augmented {
  std::int64_t samples = 23;
  std::int64_t size() const { return samples; }
  Batch get(std::int64_t index, RandomStream& random) const {
    if (index % 5 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return Batch(at::full({}, static_cast<double>(index) + random.uniform(), at::kDouble));
  }
};

// The same samples as a stream.
class AugmentedStream final : public IterableDataset {
 public:
  explicit AugmentedStream(std::int64_t torn_at = -1) : torn_at_(torn_at) {}

  std::unique_ptr<SampleStream> iterate(const StreamPass& pass) const override {
    class Stream final : public SampleStream {
     public:
      Stream(std::int64_t first, std::int64_t step, std::int64_t torn_at)
          : next_(first), step_(step), torn_at_(torn_at) {}
      std::optional<PendingSample> next() override {
        if (next_ == torn_at_) {
          torn_at_ = -1;
          throw BadSample("a.tar: truncated at byte 512");
        }
        if (next_ >= 23) return std::nullopt;
        const std::int64_t index = next_;
        next_ += step_;
        return PendingSample{
            [index](RandomStream& random) { return Augmented{}.get(index, random); },
            "a.tar: " + std::to_string(index)};
      }

     private:
      std::int64_t next_;
      std::int64_t step_;
      std::int64_t torn_at_;
    };
    return std::make_unique<Stream>(pass.rank, pass.world_size, torn_at_);
  }

 private:
  std::int64_t torn_at_;
};

Numbers values(const Batch& batch) {
  const auto* data = batch.tensor().const_data_ptr<double>();
  return {data, data + batch.tensor().numel()};
}

std::vector<Numbers> rest_of(BatchIterator& iterator) {
  std::vector<Numbers> batches;
  while (const auto batch = iterator.next()) batches.push_back(values(*batch));
  return batches;
}

enum class Kind { kMap, kStream };

class LoadingTest : public ::testing::TestWithParam<Kind> {
 protected:
  static std::shared_ptr<DataLoader> loader(std::int64_t workers) {
    if (GetParam() == Kind::kMap) {
      return std::make_shared<MapDataLoader>(
          make_dataset(Augmented{}),
          MapDataLoader::Options{.batch_size = 4, .shuffle = true, .num_workers = workers});
    }
    return std::make_shared<IterableDataLoader>(
        std::make_shared<AugmentedStream>(),
        IterableDataLoader::Options{.batch_size = 4, .prefetch = {.num_workers = workers}});
  }
};

TEST_P(LoadingTest, OrderAndBitsAreTheSameForAnyNumberOfWorkers) {
  at::manual_seed(3);
  const std::shared_ptr<DataLoader> alone = loader(0);
  const auto first = rest_of(*alone->iterate());
  const auto second = rest_of(*alone->iterate());
  ASSERT_EQ(first.size(), 6U);
  EXPECT_NE(first, second);  // another pass augments otherwise
  for (const std::int64_t workers :
       {std::int64_t{1}, std::int64_t{2}, std::int64_t{4}, kAutoWorkers}) {
    at::manual_seed(3);
    const std::shared_ptr<DataLoader> many = loader(workers);
    EXPECT_EQ(rest_of(*many->iterate()), first) << workers;
    EXPECT_EQ(rest_of(*many->iterate()), second) << workers;
  }
}

TEST_P(LoadingTest, APassResumesInItsMiddleWithTheSameBits) {
  at::manual_seed(5);
  const auto whole = rest_of(*loader(0)->iterate());
  for (const std::int64_t workers : {0, 1, 4}) {
    at::manual_seed(5);
    const auto iterator = loader(workers)->iterate();
    iterator->skip(2);
    EXPECT_EQ(rest_of(*iterator), std::vector<Numbers>(whole.begin() + 2, whole.end())) << workers;
    // And one that has begun already.
    at::manual_seed(5);
    const auto begun = loader(workers)->iterate();
    begun->next();
    begun->skip(3);
    EXPECT_EQ(rest_of(*begun), std::vector<Numbers>(whole.begin() + 4, whole.end())) << workers;
  }
}

TEST_P(LoadingTest, StopsCleanlyAtAnyTime) {
  for (int taken = 0; taken < 6; ++taken) {
    const std::shared_ptr<DataLoader> data = loader(3);
    const auto iterator = data->iterate();
    for (int i = 0; i < taken; ++i) iterator->next();
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, LoadingTest, ::testing::Values(Kind::kMap, Kind::kStream),
                         [](const auto& info) {
                           return info.param == Kind::kMap ? "Map" : "Stream";
                         });

struct WithBadOnes {
  std::int64_t bad_from = 7;
  std::int64_t bad_to = 8;
  std::int64_t size() const { return 12; }
  Batch get(std::int64_t index) const {
    if (index >= bad_from && index < bad_to) throw BadSample("images/7.jpg: premature end");
    return Batch(at::full({}, static_cast<double>(index), at::kDouble));
  }
};

TEST(BadSampleTest, IsAnErrorWithIndexAndFileAtItsBatch) {
  for (const std::int64_t workers : {0, 2}) {
    MapDataLoader loader(make_dataset(WithBadOnes{}), {.batch_size = 4, .num_workers = workers});
    const auto iterator = loader.iterate();
    EXPECT_EQ(values(*iterator->next()), (Numbers{0, 1, 2, 3}));
    try {
      iterator->next();
      FAIL() << workers;
    } catch (const BadSample& error) {
      EXPECT_STREQ(error.what(), "sample 7: images/7.jpg: premature end");
    }
    EXPECT_EQ(values(*iterator->next()), (Numbers{8, 9, 10, 11}));
  }
}

TEST(BadSampleTest, IsLeftOutAndCountedOnDemand) {
  for (const std::int64_t workers : {0, 2}) {
    MapDataLoader loader(make_dataset(WithBadOnes{}),
                         {.batch_size = 4, .num_workers = workers, .skip_bad_samples = true});
    EXPECT_EQ(rest_of(*loader.iterate()),
              (std::vector<Numbers>{{0, 1, 2, 3}, {4, 5, 6}, {8, 9, 10, 11}}));
    EXPECT_EQ(loader.stats()->skipped_samples, 1);
  }
}

TEST(BadSampleTest, ABatchOfNothingElseIsAnErrorAllTheSame) {
  MapDataLoader loader(make_dataset(WithBadOnes{4, 8}),
                       {.batch_size = 4, .skip_bad_samples = true});
  const auto iterator = loader.iterate();
  iterator->next();
  EXPECT_THROW(iterator->next(), BadSample);
}

TEST(BadSampleTest, ATornStreamIsAnErrorAtItsPlaceOrGoesOnBehindIt) {
  for (const std::int64_t workers : {0, 2}) {
    IterableDataLoader strict(std::make_shared<AugmentedStream>(10),
                              {.batch_size = 4, .prefetch = {.num_workers = workers}});
    const auto iterator = strict.iterate();
    iterator->next();
    iterator->next();
    EXPECT_THROW(iterator->next(), BadSample);

    IterableDataLoader patient(
        std::make_shared<AugmentedStream>(10),
        {.batch_size = 4, .prefetch = {.num_workers = workers, .skip_bad_samples = true}});
    EXPECT_EQ(rest_of(*patient.iterate()).size(), 6U);
    EXPECT_EQ(patient.stats()->skipped_samples, 1);
  }
}

// Counts how many batches exist at once that nobody has taken.
struct Counting {
  std::shared_ptr<std::atomic<int>> made = std::make_shared<std::atomic<int>>(0);
  std::int64_t size() const { return 64; }
  Batch get(std::int64_t) const {
    ++*made;
    return Batch(at::zeros({1024}, at::kByte));
  }
};

TEST(BackPressureTest, BytesAheadAreBounded) {
  Counting samples;
  MapDataLoader loader(
      make_dataset(samples),
      {.batch_size = 1, .num_workers = 4, .prefetch_factor = 8, .prefetch_memory = 4096});
  const auto iterator = loader.iterate();
  int taken = 0;
  for (; taken < 20; ++taken) {
    ASSERT_TRUE(iterator->next().has_value());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_LE(samples.made->load() - (taken + 1), 4) << taken;
    EXPECT_LE(loader.stats()->bytes_ahead, 4096);
  }
  while (iterator->next()) ++taken;
  EXPECT_EQ(taken, 64);
}

TEST(BackPressureTest, ABatchThatIsLargerThanTheBoundStillComes) {
  MapDataLoader loader(make_dataset(Counting{}),
                       {.batch_size = 8, .num_workers = 2, .prefetch_memory = 100});
  const auto iterator = loader.iterate();
  int batches = 0;
  while (iterator->next()) ++batches;
  EXPECT_EQ(batches, 8);
}

struct ThreadsSeen {
  std::int64_t size() const { return 8; }
  Batch get(std::int64_t) const {
    return Batch(at::full({}, static_cast<double>(at::get_num_threads()), at::kDouble));
  }
};

TEST(WorkerTest, ComputesWithOneCore) {
  at::set_num_threads(3);
  MapDataLoader loader(make_dataset(ThreadsSeen{}), {.batch_size = 8, .num_workers = 1});
  EXPECT_EQ(values(*loader.iterate()->next()), Numbers(8, 1.0));
  EXPECT_EQ(at::get_num_threads(), 3);
}

TEST(PinningTest, BatchesAreMadeInPinnedMemoryWhenAsked) {
  for (const bool pin : {false, true}) {
    std::atomic<int> pinned = 0;
    LoaderSurroundings surroundings;
    surroundings.pinned_memory = [&](at::IntArrayRef sizes, at::ScalarType dtype) {
      ++pinned;
      return at::empty(sizes, dtype);
    };
    MapDataLoader loader(make_dataset(Augmented{}),
                         {.batch_size = 4, .num_workers = 2, .pin_memory = pin});
    loader.fit_to(surroundings);
    rest_of(*loader.iterate());
    EXPECT_EQ(pinned, pin ? 6 : 0);
  }
}

// The first sample comes only after all others of its batch: somebody else must make those.
struct FirstComesLast {
  std::shared_ptr<std::atomic<int>> made = std::make_shared<std::atomic<int>>(0);
  std::int64_t size() const { return 16; }
  Batch get(std::int64_t index) const {
    if (index == 0) {
      while (*made < 15) std::this_thread::yield();
    }
    ++*made;
    return Batch(at::full({}, static_cast<double>(index), at::kDouble));
  }
};

TEST(CooperationTest, TheTrainingThreadMakesWhatItWouldWaitFor) {
  MapDataLoader loader(make_dataset(FirstComesLast{}), {.batch_size = 16, .num_workers = 1});
  const Numbers batch = values(*loader.iterate()->next());
  ASSERT_EQ(batch.size(), 16U);
  for (std::size_t i = 0; i < batch.size(); ++i) EXPECT_EQ(batch[i], static_cast<double>(i));
}

// Two bad samples, the earlier of which is found later.
struct TwoBadOnes {
  std::int64_t size() const { return 16; }
  Batch get(std::int64_t index) const {
    if (index == 3) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (index == 3 || index == 9) throw BadSample("no image");
    return Batch(at::full({}, static_cast<double>(index), at::kDouble));
  }
};

TEST(CooperationTest, TheFirstErrorOfABatchCountsWhoeverFindsItsOwnFirst) {
  for (const std::int64_t workers : {0, 1, 4}) {
    MapDataLoader loader(make_dataset(TwoBadOnes{}), {.batch_size = 16, .num_workers = workers});
    const auto iterator = loader.iterate();
    try {
      iterator->next();
      FAIL() << workers;
    } catch (const BadSample& error) {
      EXPECT_STREQ(error.what(), "sample 3: no image") << workers;
    }
  }
}

TEST(OptionsTest, NonsenseIsRefusedInTorchsWords) {
  const auto data = make_dataset(Augmented{});
  const auto refusal = [&](MapDataLoader::Options options) -> std::string {
    try {
      MapDataLoader loader(data, std::move(options));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refusal({.num_workers = -2}), HasSubstr("num_workers option should be non-negative"));
  EXPECT_THAT(refusal({.prefetch_factor = 0}), HasSubstr("prefetch_factor"));
  EXPECT_THAT(refusal({.prefetch_memory = -1}), HasSubstr("prefetch_memory"));
  EXPECT_THAT(refusal({.shuffle = true, .sampler = sequential_sampler(3)}),
              HasSubstr("sampler option is mutually exclusive with shuffle"));
}

TEST(CollateFunctionTest, TakesThePlaceOfTheUsualOne) {
  MapDataLoader loader(
      make_dataset(WithBadOnes{0, 0}),
      {.batch_size = 3, .collate_fn = [](std::vector<Batch> samples) {
         return Batch(at::full({}, static_cast<double>(samples.size()), at::kDouble));
       }});
  EXPECT_EQ(values(*loader.iterate()->next()), (Numbers{3}));
}

// Training steps of a known length over a loader whose samples take long to fetch, as from a slow
// disk: the tuner must come close to what the best fixed number brings. Speed itself is no test's
// business; which number it ends with is.
struct Slow {
  std::int64_t size() const { return 4000; }
  Batch get(std::int64_t index) const {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return Batch(at::full({}, static_cast<double>(index), at::kDouble));
  }
};

TEST(TuningTest, AddsWorkersToASlowLoaderAndSaysWhy) {
  MapDataLoader loader(make_dataset(Slow{}), {.batch_size = 1, .num_workers = kAutoWorkers});
  const auto iterator = loader.iterate();
  const auto until = system_clock().monotonic_now() + std::chrono::seconds(20);
  // A step takes 5 ms: four workers would do if sleeping were exact.
  while (loader.stats()->workers < 4 && system_clock().monotonic_now() < until) {
    ASSERT_TRUE(iterator->next().has_value());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const LoadingStats stats = *loader.stats();
  EXPECT_TRUE(stats.tuned);
  EXPECT_GE(stats.workers, 4);
  EXPECT_GT(stats.waited_seconds, 0);
  if (!stats.decisions.empty()) {  // none where the machine has processors enough to begin with 4
    EXPECT_THAT(stats.decisions[0].reason, HasSubstr("training waits for data"));
    EXPECT_GT(stats.decisions[0].after, stats.decisions[0].before);
  }
}

TEST(TuningTest, BacksOffUnderAMemoryLimit) {
  LoaderSurroundings surroundings;
  std::atomic<std::int64_t> available = 8LL << 30;
  surroundings.memory = [&] { return MemoryHeadroom{available, 8LL << 30}; };
  MapDataLoader loader(make_dataset(Slow{}), {.batch_size = 1, .num_workers = kAutoWorkers});
  loader.fit_to(surroundings);
  const auto iterator = loader.iterate();
  const auto until = system_clock().monotonic_now() + std::chrono::seconds(20);
  while (loader.stats()->workers < 2 && system_clock().monotonic_now() < until) iterator->next();
  const std::int64_t before = loader.stats()->workers;
  ASSERT_GE(before, 2);
  available = 100 << 20;
  while (loader.stats()->workers >= before && system_clock().monotonic_now() < until)
    iterator->next();
  EXPECT_LT(loader.stats()->workers, before);
  EXPECT_THAT(loader.stats()->decisions.back().reason, HasSubstr("memory runs low"));
}

}  // namespace
}  // namespace lctl
