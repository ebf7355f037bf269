#include "worker/trainer/loops/data_fetcher.h"

#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lctl {
namespace {

using ::testing::ElementsAre;

// Yields 0, 1, … as batches; works in memory.
class CountingLoader final : public DataLoader {
 public:
  CountingLoader(std::int64_t count, bool knows_length)
      : count_(count), knows_length_(knows_length) {}

  std::unique_ptr<BatchIterator> iterate() override {
    class Iterator final : public BatchIterator {
     public:
      Iterator(std::int64_t count, int& made) : count_(count), made_(made) {}
      std::optional<Batch> next() override {
        if (at_ >= count_) return std::nullopt;
        ++made_;
        return Batch(at::full({}, at_++));
      }
      void skip(std::int64_t count) override { at_ += count; }

     private:
      std::int64_t at_ = 0;
      std::int64_t count_;
      int& made_;
    };
    ++iterators;
    return std::make_unique<Iterator>(count_, made);
  }
  std::optional<std::int64_t> size() const override {
    return knows_length_ ? std::optional(count_) : std::nullopt;
  }
  std::optional<std::int64_t> dataset_length() const override { return size(); }
  bool shuffles() const override { return false; }
  bool has_distributed_sampler() const override { return false; }
  std::shared_ptr<DataLoader> with_distributed_sampler(int, int, bool, std::uint64_t,
                                                       bool) override {
    return nullptr;
  }
  std::shared_ptr<DataLoader> with_sequential_sampler() override { return nullptr; }
  std::shared_ptr<DataLoader> for_prediction() override { return nullptr; }
  void set_epoch(std::int64_t) override {}

  int iterators = 0;
  int made = 0;  // batches

 private:
  std::int64_t count_;
  bool knows_length_;
};

std::vector<std::string> drain(DataFetcher& fetcher) {
  std::vector<std::string> seen;
  FetchedBatch fetched;
  while (fetcher.next(fetched)) {
    seen.push_back(
        std::to_string(fetched.dataloader_idx) + "." + std::to_string(fetched.batch_idx) + "=" +
        std::to_string(fetched.batch.tensor().item().toLong()) + (fetcher.done() ? "!" : ""));
    if (fetcher.done() && fetcher.length() != kInfiniteBatches) break;
  }
  return seen;
}

TEST(DataFetcherTest, KnownLengthMarksTheLastBatchByCount) {
  DataFetcher fetcher;
  fetcher.setup({std::make_shared<CountingLoader>(5, true)}, {3});
  fetcher.start();
  EXPECT_THAT(drain(fetcher), ElementsAre("0.0=0", "0.1=1", "0.2=2!"));
}

TEST(DataFetcherTest, UnknownLengthIsReadOneAhead) {
  DataFetcher fetcher;
  fetcher.setup({std::make_shared<CountingLoader>(3, false)}, {kInfiniteBatches});
  fetcher.start();
  EXPECT_THAT(drain(fetcher), ElementsAre("0.0=0", "0.1=1", "0.2=2!"));
}

TEST(DataFetcherTest, LoadersFollowEachOtherAndAreOpenedOneByOne) {
  const auto first = std::make_shared<CountingLoader>(2, true);
  const auto second = std::make_shared<CountingLoader>(2, true);
  DataFetcher fetcher;
  fetcher.setup({first, second}, {2, 1});
  fetcher.start();
  EXPECT_EQ(second->iterators, 0);
  EXPECT_THAT(drain(fetcher), ElementsAre("0.0=0", "0.1=1", "1.0=0!"));
  EXPECT_EQ(second->iterators, 1);
}

TEST(DataFetcherTest, SkipGoesOnInTheMiddle) {
  DataFetcher fetcher;
  fetcher.setup({std::make_shared<CountingLoader>(4, true)}, {kInfiniteBatches});
  fetcher.start();
  fetcher.skip(2);
  EXPECT_THAT(drain(fetcher), ElementsAre("0.2=2", "0.3=3!"));
}

TEST(DataFetcherTest, SkipMakesNoneOfTheBatchesThatItPassesOver) {
  const auto loader = std::make_shared<CountingLoader>(9, false);
  DataFetcher fetcher;
  fetcher.setup({loader}, {kInfiniteBatches});
  fetcher.start();
  fetcher.skip(6);
  EXPECT_EQ(loader->made, 2);  // the first, which start() fetches, and the next one to come
  EXPECT_EQ(fetcher.taken(), 6);
  EXPECT_THAT(drain(fetcher), ElementsAre("0.6=6", "0.7=7", "0.8=8!"));
}

TEST(DataFetcherTest, EmptyLoaderIsDoneAtOnce) {
  DataFetcher fetcher;
  fetcher.setup({std::make_shared<CountingLoader>(0, true)}, {kInfiniteBatches});
  fetcher.start();
  EXPECT_TRUE(fetcher.done());
  EXPECT_TRUE(drain(fetcher).empty());
}

}  // namespace
}  // namespace lctl
