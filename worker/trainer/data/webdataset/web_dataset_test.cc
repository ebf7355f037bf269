#include "worker/trainer/data/webdataset/web_dataset.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/webdataset/test_tar.h"

namespace lctl {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using webdataset::EmptyShards;
using webdataset::TestFolder;
using webdataset::TestTar;

using Order = std::vector<std::int64_t>;

Order range(std::int64_t from, std::int64_t to) {
  Order all;
  for (std::int64_t i = from; i < to; ++i) all.push_back(i);
  return all;
}

Order sorted(Order order) {
  std::sort(order.begin(), order.end());
  return order;
}

class WebDatasetTest : public ::testing::Test {
 protected:
  // Shards t-0.tar, t-1.tar, ... whose samples' classes count on: 0, 1, 2, ...
  void write_shards(int shards, int samples) {
    for (int shard = 0; shard < shards; ++shard)
      folder_.write(fmt::format("t-{}.tar", shard), tar(shard * samples, samples).closed());
    options_.shards = {folder_.path(fmt::format("t-{{0..{}}}.tar", shards - 1))};
    if (shards == 1) options_.shards = {folder_.path("t-0.tar")};
    options_.columns = {"cls"};
  }

  static TestTar tar(int first, int samples) {
    TestTar tar;
    for (int i = first; i < first + samples; ++i) {
      tar.file(fmt::format("{:04}.bin", i), std::string(static_cast<std::size_t>(i % 7), 'b'));
      tar.file(fmt::format("{:04}.cls", i), std::to_string(i));
    }
    return tar;
  }

  static Batch make(const PendingSample& pending) {
    RandomStream random(1, 2, 3);
    return pending.make(random);
  }
  static std::int64_t number(const PendingSample& pending) {
    return make(pending)[0].tensor().item<std::int64_t>();
  }

  Order order(const WebDataset& data, const StreamPass& pass = {}) {
    errors_.clear();
    Order all;
    const auto stream = data.iterate(pass);
    while (true) {
      try {
        const auto pending = stream->next();
        if (!pending.has_value()) return all;
        all.push_back(number(*pending));
      } catch (const BadSample& error) {
        errors_.emplace_back(error.what());
      }
    }
  }
  Order order(const StreamPass& pass = {}) { return order(WebDataset(options_), pass); }

  // Of what Call throws, as the loader's messages have it.
  template <typename Error, typename Call>
  static std::string error_of(Call&& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  static std::string make_error(const PendingSample& pending) {
    return error_of<BadSample>([&] {
      try {
        make(pending);
      } catch (...) {
        handle_sample_error(pending.name, nullptr);
      }
    });
  }

  TestFolder folder_{testing::TempDir()};
  WebDatasetOptions options_;
  std::vector<std::string> errors_;
};

TEST_F(WebDatasetTest, StreamsColumnsInTheShardsOrder) {
  write_shards(2, 3);
  options_.columns = {"raw;BIN", ".cls", "__key__"};
  const WebDataset data(options_);
  const auto stream = data.iterate({});
  for (std::int64_t i = 0; i < 6; ++i) {
    const auto pending = stream->next();
    ASSERT_TRUE(pending.has_value());
    EXPECT_EQ(pending->name, folder_.path(fmt::format("t-{}.tar: {:04}", i / 3, i)));
    const Batch batch = make(*pending);
    ASSERT_EQ(batch.size(), 3U);
    EXPECT_EQ(batch[0].tensor().scalar_type(), at::kByte);
    EXPECT_EQ(batch[0].tensor().numel(), i % 7);
    EXPECT_EQ(batch[1].tensor().item<std::int64_t>(), i);
    EXPECT_TRUE(batch[2].is_text());
  }
  EXPECT_FALSE(stream->next().has_value());
  EXPECT_FALSE(stream->next().has_value());
  EXPECT_EQ(data.size(0, 1), 6);
  EXPECT_FALSE(data.shuffles());
}

TEST_F(WebDatasetTest, RanksReadShardsOfTheirOwn) {
  write_shards(5, 2);
  const WebDataset data(options_);
  EXPECT_THAT(order(data, {.rank = 0, .world_size = 2}), ElementsAre(0, 1, 4, 5, 8, 9));
  EXPECT_THAT(order(data, {.rank = 1, .world_size = 2}), ElementsAre(2, 3, 6, 7));
  EXPECT_EQ(data.size(0, 2), 6);
  EXPECT_EQ(data.size(1, 2), 4);
  for (const auto& call : std::vector<std::function<void()>>{
           [&] { data.iterate({.rank = 0, .world_size = 6}); }, [&] { data.size(0, 6); }}) {
    EXPECT_THAT(error_of<MisconfigurationException>(call), HasSubstr("5 shards for 6 ranks"));
  }
}

TEST_F(WebDatasetTest, ShuffledOrdersDependOnSeedAndRankAlone) {
  write_shards(6, 20);
  options_.shard_shuffle = true;
  options_.shuffle_buffer = 30;
  const WebDataset data(options_);
  EXPECT_TRUE(data.shuffles());
  const Order first = order(data, {.seed = 7});
  EXPECT_EQ(sorted(first), range(0, 120));
  EXPECT_NE(first, range(0, 120));
  EXPECT_EQ(order(data, {.seed = 7}), first);
  EXPECT_EQ(order(WebDataset(options_), {.seed = 7, .epoch = 3}), first);
  EXPECT_NE(order(data, {.seed = 8}), first);
  const Order even = order(data, {.seed = 7, .rank = 0, .world_size = 2});
  const Order odd = order(data, {.seed = 7, .rank = 1, .world_size = 2});
  Order both = even;
  both.insert(both.end(), odd.begin(), odd.end());
  EXPECT_EQ(sorted(both), range(0, 120));
  // Which shards a rank reads is the same in all passes.
  EXPECT_EQ(sorted(order(data, {.seed = 99, .rank = 1, .world_size = 2})), sorted(odd));
}

TEST_F(WebDatasetTest, ShardShuffleKeepsTheOrderWithinShards) {
  write_shards(20, 2);
  options_.shard_shuffle = true;
  const Order shuffled = order({.seed = 3});
  EXPECT_NE(shuffled, range(0, 40));
  EXPECT_EQ(sorted(shuffled), range(0, 40));
  for (std::size_t i = 0; i < shuffled.size(); i += 2) EXPECT_EQ(shuffled[i] + 1, shuffled[i + 1]);
}

TEST_F(WebDatasetTest, AStreamThatHasSkippedGoesOnAsOneThatHasMade) {
  write_shards(4, 25);
  options_.shard_shuffle = true;
  for (const std::int64_t buffer : {0, 10, 1000}) {
    for (const std::optional<std::int64_t> per_pass : {std::optional<std::int64_t>(), {230}}) {
      options_.shuffle_buffer = buffer;
      options_.samples_per_pass = per_pass;
      const WebDataset data(options_);
      const Order whole = order(data, {.seed = 5});
      ASSERT_EQ(whole.size(), per_pass.value_or(100));
      for (const std::size_t skipped : {1UL, 42UL, 99UL}) {
        const auto stream = WebDataset(options_).iterate({.seed = 5});
        for (std::size_t i = 0; i < skipped; ++i) ASSERT_TRUE(stream->next().has_value());
        Order rest;
        while (const auto pending = stream->next()) rest.push_back(number(*pending));
        EXPECT_THAT(rest, ElementsAreArray(whole.begin() + static_cast<std::ptrdiff_t>(skipped),
                                           whole.end()));
      }
    }
  }
}

TEST_F(WebDatasetTest, SamplesPerPassStartsOverShuffledAnew) {
  write_shards(3, 10);
  options_.shard_shuffle = true;
  options_.shuffle_buffer = 8;
  options_.samples_per_pass = 75;
  const WebDataset data(options_);
  EXPECT_EQ(data.size(0, 1), 75);
  const Order all = order(data, {.seed = 1});
  ASSERT_EQ(all.size(), 75U);
  const Order one(all.begin(), all.begin() + 30);
  const Order two(all.begin() + 30, all.begin() + 60);
  EXPECT_EQ(sorted(one), range(0, 30));
  EXPECT_EQ(sorted(two), range(0, 30));
  EXPECT_NE(one, two);
  options_.samples_per_pass = 4;
  options_.shuffle_buffer = 0;
  options_.shard_shuffle = false;
  EXPECT_THAT(order(), ElementsAre(0, 1, 2, 3));
}

TEST_F(WebDatasetTest, SamplesPerPassOfShardsWithoutSamplesIsAnErrorAndNoHang) {
  folder_.write("t.tar", TestTar().file("no extension", "").closed());
  options_.shards = {folder_.path("t.tar")};
  options_.columns = {"cls"};
  options_.samples_per_pass = 5;
  for (const EmptyShards policy : {EmptyShards::kError, EmptyShards::kSkip}) {
    options_.empty_shards = policy;
    EXPECT_THAT(error_of<MisconfigurationException>([&] {
                  const auto stream = WebDataset(options_).iterate({});
                  if (policy == EmptyShards::kError) {
                    EXPECT_THROW(stream->next(), BadSample);
                  }
                  stream->next();
                }),
                HasSubstr("samples_per_pass cannot be reached"));
  }
}

TEST_F(WebDatasetTest, EmptyShardsAreErrorsUnlessTheyAreSkipped) {
  write_shards(3, 2);
  folder_.write("t-1.tar", TestTar().file("__meta__", "x").closed());
  EXPECT_THAT(order(), ElementsAre(0, 1, 4, 5));
  ASSERT_EQ(errors_.size(), 1U);
  EXPECT_THAT(errors_[0], HasSubstr("t-1.tar: has no sample"));
  options_.empty_shards = EmptyShards::kSkip;
  EXPECT_THAT(order(), ElementsAre(0, 1, 4, 5));
  EXPECT_TRUE(errors_.empty());
  EXPECT_EQ(WebDataset(options_).size(0, 1), 4);
}

TEST_F(WebDatasetTest, ATruncatedShardGivesWhatIsBeforeAndTheNextShardFollows) {
  write_shards(3, 2);
  const std::string whole = tar(2, 2).closed();
  folder_.write("t-1.tar", whole.substr(0, 7 * 512));  // before the byte of 3's cls
  const WebDataset data(options_);
  const auto stream = data.iterate({});
  EXPECT_EQ(number(*stream->next()), 0);
  EXPECT_EQ(number(*stream->next()), 1);
  EXPECT_EQ(number(*stream->next()), 2);
  EXPECT_THAT(make_error(*stream->next()),
              AllOf(HasSubstr("t-1.tar: 0003: has no 'cls', only: bin"), HasSubstr("truncated")));
  EXPECT_THAT(error_of<BadSample>([&] { stream->next(); }),
              AllOf(HasSubstr("t-1.tar: truncated"), HasSubstr("byte 3584, inside '0003.cls'")));
  EXPECT_EQ(number(*stream->next()), 4);
  EXPECT_EQ(number(*stream->next()), 5);
  EXPECT_FALSE(stream->next().has_value());
  EXPECT_EQ(data.size(0, 1), 6);
}

TEST_F(WebDatasetTest, AMissingColumnNamesShardKeyAndWhatIsThere) {
  folder_.write("t.tar", TestTar().file("x/7.JPG", "1").file("x/7.seg.png", "2").closed());
  options_.shards = {folder_.path("t.tar")};
  options_.columns = {"txt;cls"};
  const auto stream = WebDataset(options_).iterate({});
  EXPECT_EQ(make_error(*stream->next()),
            folder_.path("t.tar") + ": x/7: has no 'txt;cls', only: jpg, seg.png");
}

TEST_F(WebDatasetTest, DecodingErrorsNameTheSampleAndItsFile) {
  folder_.write("t.tar", TestTar().file("7.cls", "cat").file("8.a", "").file("8.A", "").closed());
  options_.shards = {folder_.path("t.tar")};
  options_.columns = {"cls;a"};
  const auto stream = WebDataset(options_).iterate({});
  EXPECT_EQ(make_error(*stream->next()),
            folder_.path("t.tar") + ": 7: cls: 'cat' is no whole number");
  EXPECT_THAT(make_error(*stream->next()), HasSubstr("8: '8.A' comes twice"));
}

TEST_F(WebDatasetTest, GivenDecodersAndTransformsMakeTheColumns) {
  write_shards(1, 3);
  options_.columns = {"bin", "cls"};
  options_.decoders["bin"] = [](std::span<const std::byte> bytes, const std::string& name) {
    EXPECT_EQ(name, "bin");
    return Batch(at::scalar_tensor(static_cast<std::int64_t>(bytes.size()), at::kLong));
  };
  options_.transforms = {[](const Batch& value, RandomStream& random) {
    return Batch(at::scalar_tensor(value.tensor().item<std::int64_t>() + random.below(1'000'000),
                                   at::kLong));
  }};
  const auto stream = WebDataset(options_).iterate({});
  for (std::int64_t i = 0; i < 3; ++i) {
    const Batch batch = make(*stream->next());
    RandomStream same(1, 2, 3);
    EXPECT_EQ(batch[0].tensor().item<std::int64_t>(), i + same.below(1'000'000));
    EXPECT_EQ(batch[1].tensor().item<std::int64_t>(), i);
  }
}

TEST_F(WebDatasetTest, AColumnWithoutATransformIsDecodedIntoTheBatch) {
  write_shards(1, 3);
  options_.columns = {"bin", "cls"};
  options_.putters["bin"] = [](BatchBuilder& batch, std::size_t row, Batch::List sample,
                               std::size_t missing, std::span<const std::byte> bytes,
                               const std::string& name) {
    EXPECT_EQ(name, "bin");
    EXPECT_EQ(missing, 0U);
    sample[missing] = at::scalar_tensor(static_cast<std::int64_t>(bytes.size()) + 100, at::kLong);
    batch.put(row, std::move(sample));
  };
  const auto batch_of = [&] {
    const auto stream = WebDataset(options_).iterate({});
    BatchBuilder batch(3);
    RandomStream random(1, 2, 3);
    for (std::size_t row = 0; row < 3; ++row) stream->next()->put(batch, row, random);
    return batch.finish();
  };
  const auto [sizes, labels] = batch_of().tensors<2>();
  EXPECT_TRUE(sizes.equal(at::arange(100, 103, at::kLong)));
  EXPECT_TRUE(labels.equal(at::arange(3, at::kLong)));

  options_.transforms = {[](const Batch& value, RandomStream&) { return value; }};
  EXPECT_FALSE(WebDataset(options_).iterate({})->next()->put);
}

TEST_F(WebDatasetTest, SamplesAreMadeByManyThreadsAndOutliveStreamAndDataSet) {
  write_shards(100, 10);  // more than stay open
  options_.shuffle_buffer = 500;
  std::vector<PendingSample> pending;
  {
    const WebDataset data(options_);
    const auto stream = data.iterate({.seed = 4});
    while (auto next = stream->next()) pending.push_back(std::move(*next));
  }
  ASSERT_EQ(pending.size(), 1000U);
  Order made(pending.size());
  std::atomic<std::size_t> next = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (std::size_t at = next++; at < pending.size(); at = next++)
          made[at] = number(pending[at]);
      });
    }
  }
  EXPECT_EQ(made, order({.seed = 4}));
}

TEST_F(WebDatasetTest, FewFilesStayOpen) {
  write_shards(100, 1);
  options_.shuffle_buffer = 1000;
  const auto open_files = [] {
    std::ptrdiff_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
      ++count;
    return count;
  };
  const std::ptrdiff_t before = open_files();
  const WebDataset data(options_);
  const auto stream = data.iterate({});
  std::vector<PendingSample> pending;
  while (auto next = stream->next()) pending.push_back(std::move(*next));
  EXPECT_EQ(pending.size(), 100U);
  EXPECT_LE(open_files(), before + 64);
}

TEST_F(WebDatasetTest, AStreamStopsAtAnyTime) {
  write_shards(4, 2000);
  for (int taken : {0, 1, 1500}) {
    options_.samples_per_pass = 1'000'000;
    const auto stream = WebDataset(options_).iterate({});
    for (int i = 0; i < taken; ++i) ASSERT_TRUE(stream->next().has_value());
  }
}

TEST_F(WebDatasetTest, UrlsAreResolvedAheadOfTime) {
  write_shards(4, 3000);
  std::mutex mutex;
  std::vector<std::string> asked;
  std::atomic<bool> third = false;
  options_.shards = {"https://host/t-{0..3}.tar"};
  options_.resolve = [&](const std::string& url) {
    const std::lock_guard lock(mutex);
    asked.push_back(url);
    if (asked.size() == 3) {
      third = true;
      third.notify_all();
    }
    return folder_.path(url.substr(url.rfind('/') + 1));
  };
  const WebDataset data(options_);
  EXPECT_EQ(data.size(0, 1), std::nullopt);
  const auto stream = data.iterate({});
  ASSERT_EQ(number(*stream->next()), 0);
  third.wait(false);  // hangs if the next two were fetched only when the first shard is used up
  Order rest;
  while (const auto pending = stream->next()) rest.push_back(number(*pending));
  EXPECT_EQ(rest, range(1, 12'000));
  EXPECT_THAT(asked, ElementsAre("https://host/t-0.tar", "https://host/t-1.tar",
                                 "https://host/t-2.tar", "https://host/t-3.tar"));
}

TEST_F(WebDatasetTest, AShardThatCannotBeFetchedIsToldByItsUrlAndTheNextFollows) {
  write_shards(2, 2);
  options_.shards = {"https://host/t-{0..1}.tar"};
  options_.resolve = [&](const std::string& url) {
    if (url.ends_with("t-0.tar")) throw std::runtime_error("404");
    return folder_.path("t-1.tar");
  };
  const WebDataset data(options_);
  const auto stream = data.iterate({});
  EXPECT_EQ(error_of<std::runtime_error>([&] { stream->next(); }), "https://host/t-0.tar: 404");
  EXPECT_EQ(number(*stream->next()), 2);
}

TEST_F(WebDatasetTest, AShardThatBecameShorterIsABadSample) {
  write_shards(1, 3);
  const auto stream = WebDataset(options_).iterate({});
  stream->next();
  stream->next();
  const auto last = stream->next();
  std::filesystem::resize_file(folder_.path("t-0.tar"), 600);
  EXPECT_THAT(make_error(*last), HasSubstr("cls: its 1 bytes at byte 5120 are not there any more"));
}

TEST_F(WebDatasetTest, WrongOptionsAreErrorsAtOnce) {
  write_shards(1, 1);
  const WebDatasetOptions good = options_;
  const auto refused = [&](auto change) {
    WebDatasetOptions options = good;
    change(options);
    return error_of<MisconfigurationException>([&] { WebDataset data(std::move(options)); });
  };
  EXPECT_EQ(refused([](WebDatasetOptions&) {}), "no error");
  EXPECT_THAT(refused([](auto& o) { o.shards = {"missing-{0..1}.tar"}; }),
              HasSubstr("missing-0.tar, missing-1.tar"));
  EXPECT_THAT(refused([](auto& o) { o.shards = {"https://host/a.tar"}; }),
              HasSubstr("URLs are not fetched here"));
  EXPECT_THAT(refused([](auto& o) { o.columns = {}; }), HasSubstr("columns: name"));
  for (const char* column : {"", "jpg;", "jpg png", "a/b", ";"}) {
    EXPECT_THAT(refused([&](auto& o) { o.columns = {column}; }), HasSubstr("is no extension"));
  }
  EXPECT_THAT(refused([](auto& o) { o.columns = {"cls;pyd"}; }), HasSubstr("pickle"));
  EXPECT_THAT(refused([](auto& o) { o.shuffle_buffer = -1; }), HasSubstr("shuffle_buffer: -1"));
  EXPECT_THAT(refused([](auto& o) { o.samples_per_pass = 0; }), HasSubstr("samples_per_pass: 0"));
  EXPECT_THAT(refused([](auto& o) { o.transforms.resize(2); }), HasSubstr("2 transforms for 1"));
}

}  // namespace
}  // namespace lctl
