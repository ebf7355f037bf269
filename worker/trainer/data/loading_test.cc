// Random facts here are those of torch 2.11 in Python: the same draws in the same order.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <stdexcept>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/data/map_data_loader.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;
using Indices = std::vector<std::int64_t>;

Indices all(IndexIterator& iterator) {
  Indices indices;
  for (std::size_t had = indices.size();; had = indices.size()) {
    iterator.take(3, indices);
    if (indices.size() < had + 3) return indices;
  }
}

std::shared_ptr<const Dataset> numbers(std::int64_t size) {
  return std::make_shared<TensorDataset>(std::vector<at::Tensor>{at::arange(size, at::kLong)});
}

Indices values(const Batch& batch) {
  const at::Tensor& tensor = batch[0].tensor();
  const auto* data = tensor.const_data_ptr<std::int64_t>();
  return {data, data + tensor.numel()};
}

std::vector<Indices> all_batches(BatchIterator& iterator) {
  std::vector<Indices> batches;
  while (const auto batch = iterator.next()) batches.push_back(values(*batch));
  return batches;
}

TEST(SeedTest, DrawsArePythons) {
  at::manual_seed(42);
  at::rand({3});
  const at::Tensor order = at::randperm(8, at::TensorOptions().dtype(at::kLong));
  EXPECT_TRUE(order.equal(at::tensor(Indices{6, 5, 7, 3, 4, 0, 2, 1})));
  EXPECT_EQ(draw_seed(), 2877591057541362902);
}

TEST(RandomSplitTest, IsOnePermutationCutIntoParts) {
  const auto parts = random_split(numbers(10), {8, 2}, 42);
  EXPECT_THAT(dynamic_cast<const Subset&>(*parts[0]).indices(),
              ElementsAre(2, 6, 1, 8, 4, 5, 0, 9));
  EXPECT_THAT(dynamic_cast<const Subset&>(*parts[1]).indices(), ElementsAre(3, 7));
  EXPECT_THROW(random_split(numbers(10), {8, 3}, 42), std::invalid_argument);
}

TEST(RandomSamplerTest, SeedIsDrawnAtTheFirstRequestAndOrderIsPrivate) {
  at::manual_seed(1);
  const std::int64_t seed = draw_seed();
  const std::int64_t after = draw_seed();
  at::Generator generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed));
  const at::Tensor expected = at::randperm(10, generator, at::TensorOptions().dtype(at::kLong));

  at::manual_seed(1);
  auto iterator = random_sampler(10)->iterate();  // draws nothing yet
  const Indices order = all(*iterator);
  EXPECT_TRUE(expected.equal(at::tensor(order)));
  EXPECT_EQ(draw_seed(), after);
}

TEST(RandomSamplerTest, OwnGeneratorIsAskedOnceMoreAtTheEnd) {
  const auto options = at::TensorOptions().dtype(at::kLong);
  at::Generator mine = at::detail::createCPUGenerator(3);
  auto iterator = random_sampler(5, mine)->iterate();
  all(*iterator);
  at::Generator reference = at::detail::createCPUGenerator(3);
  at::randperm(5, reference, options);
  at::randperm(5, reference, options);
  EXPECT_TRUE(at::randperm(9, mine, options).equal(at::randperm(9, reference, options)));
}

TEST(DistributedSamplerTest, RanksShareThePaddedPermutation) {
  DistributedShare share{.world_size = 2, .rank = 0, .shuffle = true, .seed = 7};
  const auto first = distributed_sampler(9, share);
  share.rank = 1;
  const auto second = distributed_sampler(9, share);
  EXPECT_EQ(first->size(), 5);
  first->set_epoch(3);
  second->set_epoch(3);
  const Indices a = all(*first->iterate());
  const Indices b = all(*second->iterate());
  at::Generator generator = at::detail::createCPUGenerator(10);
  const at::Tensor order = at::randperm(9, generator, at::TensorOptions().dtype(at::kLong));
  for (std::int64_t i = 0; i < 10; ++i) {
    EXPECT_EQ((i % 2 == 0 ? a : b)[static_cast<std::size_t>(i / 2)],
              order[i % 9].item<std::int64_t>());
  }
}

TEST(DistributedSamplerTest, AnEpochSetBeforeTheFirstIndexCounts) {
  const auto sampler = distributed_sampler(9, {.seed = 7});
  const auto early = sampler->iterate();
  sampler->set_epoch(2);
  EXPECT_EQ(all(*early), all(*sampler->iterate()));
  const auto begun = sampler->iterate();
  Indices first;
  begun->take(1, first);
  sampler->set_epoch(3);
  const Indices rest = all(*begun);
  EXPECT_EQ(first.front(), all(*distributed_sampler(9, {.seed = 9})->iterate()).front());
  EXPECT_EQ(rest.size(), 8U);
}

TEST(DistributedSamplerTest, WithoutShuffleTakesEveryNth) {
  const auto second = distributed_sampler(5, {.world_size = 2, .rank = 1, .shuffle = false});
  EXPECT_THAT(all(*second->iterate()), ElementsAre(1, 3, 0));
  const auto unpadded =
      distributed_sampler(5, {.world_size = 2, .rank = 1, .shuffle = false, .pad = false});
  EXPECT_THAT(all(*unpadded->iterate()), ElementsAre(1, 3));
}

TEST(MapDataLoaderTest, BatchesKeepTheLastPartialOneUnlessDropped) {
  MapDataLoader keeps(numbers(5), {.batch_size = 2});
  EXPECT_EQ(keeps.size(), 3);
  EXPECT_THAT(all_batches(*keeps.iterate()), ElementsAre(Indices{0, 1}, Indices{2, 3}, Indices{4}));
  MapDataLoader drops(numbers(5), {.batch_size = 2, .drop_last = true});
  EXPECT_EQ(drops.size(), 2);
  EXPECT_THAT(all_batches(*drops.iterate()), ElementsAre(Indices{0, 1}, Indices{2, 3}));
  EXPECT_EQ(drops.for_prediction()->size(), 3);
}

TEST(MapDataLoaderTest, EveryIteratorDrawsABaseSeed) {
  at::manual_seed(5);
  draw_seed();
  const std::int64_t second = draw_seed();
  at::manual_seed(5);
  MapDataLoader loader(numbers(4), {.batch_size = 2});
  const auto iterator = loader.iterate();
  EXPECT_EQ(draw_seed(), second);
}

TEST(MapDataLoaderTest, OrderAndBitsAreTheSameForAnyNumberOfWorkers) {
  std::vector<Indices> expected;
  std::int64_t next_draw = 0;
  for (const std::int64_t workers : {0, 1, 2, 4}) {
    at::manual_seed(11);
    MapDataLoader loader(numbers(103), {.batch_size = 10, .shuffle = true, .num_workers = workers});
    const std::vector<Indices> batches = all_batches(*loader.iterate());
    const std::int64_t draw = draw_seed();
    if (workers == 0) {
      expected = batches;
      next_draw = draw;
      continue;
    }
    EXPECT_EQ(batches, expected) << workers;
    EXPECT_EQ(draw, next_draw) << workers;
  }
  EXPECT_EQ(expected.size(), 11u);
}

TEST(MapDataLoaderTest, WithWorkersTheSeedIsDrawnWhenTheIteratorIsMade) {
  for (const std::int64_t workers : {0, 2}) {
    at::manual_seed(5);
    draw_seed();
    const std::int64_t second = draw_seed();
    const std::int64_t third = draw_seed();
    at::manual_seed(5);
    MapDataLoader loader(numbers(4), {.batch_size = 2, .shuffle = true, .num_workers = workers});
    const auto iterator = loader.iterate();
    EXPECT_EQ(draw_seed(), workers == 0 ? second : third) << workers;
  }
}

TEST(MapDataLoaderTest, IteratorsOutliveTheirLoader) {
  for (const std::int64_t workers : {0, 2}) {
    std::unique_ptr<BatchIterator> iterator;
    {
      MapDataLoader loader(numbers(4), {.batch_size = 2, .num_workers = workers});
      iterator = loader.iterate();
    }
    EXPECT_THAT(all_batches(*iterator), ElementsAre(Indices{0, 1}, Indices{2, 3})) << workers;
  }
}

TEST(MapDataLoaderTest, SkippedBatchesLeaveTheRestAsItWouldBe) {
  for (const std::int64_t workers : {0, 2}) {
    at::manual_seed(11);
    MapDataLoader loader(numbers(50), {.batch_size = 10, .shuffle = true, .num_workers = workers});
    const std::vector<Indices> whole = all_batches(*loader.iterate());
    at::manual_seed(11);
    const auto iterator = loader.iterate();
    iterator->skip(3);
    EXPECT_THAT(all_batches(*iterator), ElementsAre(whole[3], whole[4])) << workers;
  }
}

class FailingDataset final : public Dataset {
 public:
  std::int64_t size() const override { return 10; }
  Batch get(std::int64_t index, RandomStream& /*random*/) const override {
    if (index == 7) throw std::runtime_error("sample 7 cannot be read");
    return Batch(Batch::List{Batch(at::arange(index, index + 1, at::kLong)[0])});
  }
};

TEST(MapDataLoaderTest, AWorkersErrorArrivesAtItsBatchAndTheIteratorEndsCleanly) {
  for (const std::int64_t workers : {0, 3}) {
    MapDataLoader loader(std::make_shared<FailingDataset>(),
                         {.batch_size = 2, .num_workers = workers});
    const auto iterator = loader.iterate();
    EXPECT_EQ(values(*iterator->next()), (Indices{0, 1}));
    EXPECT_EQ(values(*iterator->next()), (Indices{2, 3}));
    EXPECT_EQ(values(*iterator->next()), (Indices{4, 5}));
    EXPECT_THROW(iterator->next(), std::runtime_error);
    EXPECT_EQ(values(*iterator->next()), (Indices{8, 9}));
  }
}

TEST(MapDataLoaderTest, BadSizesAreRefused) {
  EXPECT_THROW(MapDataLoader(numbers(1), {.batch_size = 0}), std::invalid_argument);
  EXPECT_THROW(MapDataLoader(numbers(1), {.num_workers = -2}), std::invalid_argument);
}

TEST(CollateTest, SamplesOfDifferentShapesAreRefusedWithBothShapes) {
  const std::vector<Batch> samples{Batch(at::rand({2})), Batch(at::rand({3}))};
  try {
    collate(samples);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(),
                ::testing::AllOf(::testing::HasSubstr("[2]"), ::testing::HasSubstr("[3]")));
  }
}

TEST(CollateTest, ImagesAsFilesHaveThemAreStackedAsNetworksTakeThem) {
  // Sizes that are no multiple of 16 pixels, too.
  for (const std::int64_t width : {1, 5, 16, 37, 64}) {
    std::vector<Batch> samples;
    std::vector<at::Tensor> images;
    for (int i = 0; i < 3; ++i) {
      images.push_back(at::randint(256, {7, width, 3}, at::kByte).permute({2, 0, 1}));
      samples.emplace_back(images.back());
    }
    const at::Tensor batch = collate(samples).tensor();
    EXPECT_TRUE(batch.is_contiguous());
    EXPECT_TRUE(batch.equal(at::stack(images))) << width;
  }
}

}  // namespace
}  // namespace lctl
