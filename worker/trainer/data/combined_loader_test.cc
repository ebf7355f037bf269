// Orders and draws are those of Lightning's CombinedLoader over torch's DataLoaders.
#include "worker/trainer/data/combined_loader.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/ops/arange.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "worker/trainer/data/map_data_loader.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;
using Mode = CombinedLoader::Mode;

// A loader over first, first + 1, …
std::shared_ptr<DataLoader> numbers(std::int64_t first, std::int64_t count, std::int64_t batch_size,
                                    bool shuffle = false, std::int64_t workers = 0) {
  auto data = std::make_shared<TensorDataset>(
      std::vector<at::Tensor>{at::arange(first, first + count, at::kLong)});
  return std::make_shared<MapDataLoader>(
      data,
      MapDataLoader::Options{.batch_size = batch_size, .shuffle = shuffle, .num_workers = workers});
}

std::string text(const Batch& batch) {
  if (batch.is_none()) return "-";
  const at::Tensor& tensor = batch[0].tensor();
  std::string text;
  for (std::int64_t i = 0; i < tensor.numel(); ++i)
    text += (i > 0 ? " " : "") + std::to_string(tensor[i].item().toLong());
  return text;
}

// "a|b" for each batch.
std::vector<std::string> rest(BatchIterator& iterator) {
  std::vector<std::string> seen;
  while (const auto batch = iterator.next()) {
    std::string line;
    for (std::size_t i = 0; i < batch->size(); ++i) line += (i > 0 ? "|" : "") + text((*batch)[i]);
    seen.push_back(std::move(line));
    if (seen.size() > 50) break;
  }
  return seen;
}

std::vector<std::string> all(CombinedLoader& loader) {
  const auto iterator = loader.iterate();
  return rest(*iterator);
}

TEST(CombinedLoaderTest, TheLongestSetsTheLengthAndTheOthersBeginAgain) {
  CombinedLoader loader(CombinedLoader::Parts{numbers(0, 6, 4), numbers(10, 15, 5)});
  EXPECT_EQ(loader.size(), 3);
  EXPECT_EQ(loader.dataset_length(), 15);
  EXPECT_THAT(all(loader), ElementsAre("0 1 2 3|10 11 12 13 14", "4 5|15 16 17 18 19",
                                       "0 1 2 3|20 21 22 23 24"));
}

TEST(CombinedLoaderTest, MinSizeEndsWithTheShortestAndMaxSizeFillsWithNone) {
  const CombinedLoader::Parts parts{numbers(0, 6, 4), numbers(10, 15, 5)};
  CombinedLoader shortest(parts, Mode::kMinSize);
  EXPECT_EQ(shortest.size(), 2);
  EXPECT_EQ(shortest.dataset_length(), 6);
  EXPECT_THAT(all(shortest), ElementsAre("0 1 2 3|10 11 12 13 14", "4 5|15 16 17 18 19"));
  CombinedLoader longest(parts, Mode::kMaxSize);
  EXPECT_EQ(longest.size(), 3);
  EXPECT_THAT(all(longest),
              ElementsAre("0 1 2 3|10 11 12 13 14", "4 5|15 16 17 18 19", "-|20 21 22 23 24"));
}

TEST(CombinedLoaderTest, SequentialGivesThePartsOwnBatchesUpToTheirLimits) {
  const CombinedLoader parts(CombinedLoader::Parts{numbers(0, 6, 4), numbers(10, 15, 5)},
                             Mode::kSequential);
  const auto loader = parts.with_parts(parts.parts(), {std::nullopt, 2});
  EXPECT_EQ(parts.size(), 5);
  EXPECT_EQ(parts.dataset_length(), 21);
  EXPECT_EQ(loader->size(), 4);
  const auto iterator = loader->iterate();
  EXPECT_EQ(text(*iterator->next()), "0 1 2 3");
  iterator->skip(2);
  EXPECT_EQ(text(*iterator->next()), "15 16 17 18 19");
  EXPECT_FALSE(iterator->next().has_value());
}

TEST(CombinedLoaderTest, NamesMakeAMapping) {
  CombinedLoader loader(
      CombinedLoader::NamedParts{{"a", numbers(0, 2, 2)}, {"b", numbers(5, 2, 2)}});
  const auto batch = loader.iterate()->next();
  ASSERT_TRUE(batch.has_value());
  EXPECT_EQ(text((*batch)["b"]), "5 6");
}

TEST(CombinedLoaderTest, LimitsShortenThePassAsInLightning) {
  const CombinedLoader loader(CombinedLoader::Parts{numbers(0, 10, 1), numbers(10, 4, 1)});
  EXPECT_EQ(loader.with_parts(loader.parts(), {6, 4})->size(), 6);
  EXPECT_EQ(loader.with_parts(loader.parts(), {3, 3})->size(), 3);
  const CombinedLoader shortest(loader.parts(), Mode::kMinSize);
  EXPECT_EQ(shortest.with_parts(loader.parts(), {3, 9})->size(), 3);
}

TEST(CombinedLoaderTest, DrawsAreTorchs) {
  at::manual_seed(4);
  CombinedLoader loader(CombinedLoader::Parts{numbers(0, 5, 2, true), numbers(10, 7, 1, true),
                                              numbers(20, 2, 1, true)});
  EXPECT_THAT(all(loader), ElementsAre("0 2|10|20", "3 1|11|21", "4|14|20", "2 3|15|21",
                                       "1 4|12|20", "0|16|21", "0 2|13|20"));
}

// Whatever the place, going on from it gives what would have come, with the same draws.
TEST(CombinedLoaderTest, SkippedBatchesDrawWhatTakenOnesDo) {
  for (const std::int64_t workers : {0, 2}) {
    CombinedLoader loader(CombinedLoader::Parts{numbers(0, 5, 2, true, workers),
                                                numbers(10, 7, 1, true, workers),
                                                numbers(20, 2, 1, true, workers)});
    for (std::int64_t count = 0; count <= 7; ++count) {
      at::manual_seed(4);
      std::vector<std::string> expected = all(loader);
      expected.erase(expected.begin(), expected.begin() + count);
      at::manual_seed(4);
      const auto iterator = loader.iterate();
      iterator->skip(count);
      EXPECT_EQ(rest(*iterator), expected) << count << " of " << workers << " workers";
    }
  }
}

TEST(CombinedLoaderTest, NothingToCombineIsRefused) {
  EXPECT_THROW(CombinedLoader(CombinedLoader::Parts{}), std::invalid_argument);
  EXPECT_THROW(CombinedLoader(CombinedLoader::Parts{nullptr}), std::invalid_argument);
}

}  // namespace
}  // namespace lctl
