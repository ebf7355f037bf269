#include "worker/trainer/data/formats/token_dataset.h"

#include <ATen/core/Tensor.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <numeric>

#include "gmock/gmock.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::int64_t> flat(const at::Tensor& tensor) {
  EXPECT_TRUE(tensor.is_contiguous());
  const auto* data = tensor.const_data_ptr<std::int64_t>();
  return {data, data + tensor.numel()};
}

template <typename Token>
SharedBytes file_of(const std::vector<Token>& tokens) {
  return SharedBytes::of(
      {reinterpret_cast<const char*>(tokens.data()), tokens.size() * sizeof(Token)}, "train.bin");
}

std::vector<std::uint16_t> counting(std::size_t count) {
  std::vector<std::uint16_t> tokens(count);
  std::iota(tokens.begin(), tokens.end(), std::uint16_t{100});
  return tokens;
}

template <typename Fn>
std::string bad_sample(const Fn& fn) {
  try {
    fn();
    return "";
  } catch (const BadSample& error) {
    return error.what();
  }
}

Batch sample(const Dataset& data, std::int64_t index) {
  RandomStream random(0, 0, 0);
  return data.get(index, random);
}

TEST(TokenDatasetTest, SamplesAreBlocksAndTheSameOneTokenFurther) {
  const TokenDataset data(file_of(counting(9)), {.block_size = 4});
  EXPECT_EQ(data.size(), 2);
  EXPECT_THAT(flat(sample(data, 1)[0].tensor()), ElementsAre(104, 105, 106, 107));
  EXPECT_THAT(flat(sample(data, 1)[1].tensor()), ElementsAre(105, 106, 107, 108));
}

TEST(TokenDatasetTest, LastSampleNeedsTheTokenBehindIt) {
  EXPECT_EQ(TokenDataset(file_of(counting(8)), {.block_size = 4}).size(), 1);
  // nanoGPT: randint(len(data) - block_size).
  EXPECT_EQ(TokenDataset(file_of(counting(8)), {.block_size = 4, .stride = 1}).size(), 4);
  EXPECT_EQ(TokenDataset(file_of(counting(8)), {.block_size = 7, .stride = 1}).size(), 1);
  EXPECT_THAT(bad_sample([] { TokenDataset(file_of(counting(8)), {.block_size = 8}); }),
              HasSubstr("train.bin: 8 tokens are too few for one sample of block_size 8"));
}

TEST(TokenDatasetTest, WiderTokensKeepAllTheirBits) {
  const std::vector<std::uint32_t> tokens = {1, 4'000'000'000, 3};
  const TokenDataset data(file_of(tokens), {.block_size = 2, .width = TokenWidth::kUint32});
  EXPECT_THAT(flat(sample(data, 0)[0].tensor()), ElementsAre(1, 4'000'000'000));
  EXPECT_THAT(flat(sample(data, 0)[1].tensor()), ElementsAre(4'000'000'000, 3));
}

TEST(TokenDatasetTest, IdsBeyondTheVocabularyNamePlaceAndId) {
  std::vector<std::uint16_t> tokens(9, 7);
  tokens[8] = 50257;
  const TokenDataset data(file_of(tokens), {.block_size = 4, .vocab_size = 50257});
  EXPECT_EQ(bad_sample([&] { sample(data, 0); }), "");
  EXPECT_THAT(bad_sample([&] { sample(data, 1); }),
              HasSubstr("train.bin: token 8 (at byte 16) is 50257, but vocab_size is 50257"));
}

TEST(TokenDatasetTest, BatchLeavesOutBadSamplesWhenAsked) {
  std::vector<std::uint16_t> tokens = counting(13);
  tokens[5] = 60000;
  const TokenDataset data(file_of(tokens), {.block_size = 4, .vocab_size = 1000});
  const std::vector<std::int64_t> indices = {2, 1, 0};
  EXPECT_THAT(bad_sample([&] { data.get_batch({.indices = indices}); }),
              HasSubstr("sample 1: train.bin: token 5"));
  SkippedSamples skipped;
  const Batch batch = data.get_batch({.indices = indices, .skipped = &skipped});
  EXPECT_THAT(flat(batch[0].tensor()), ElementsAre(108, 109, 110, 111, 100, 101, 102, 103));
  EXPECT_EQ(batch[1].tensor().sizes(), (std::vector<std::int64_t>{2, 4}));
  EXPECT_EQ(skipped.count(), 1);
  const std::vector<std::int64_t> bad_only = {1};
  EXPECT_THAT(bad_sample([&] { data.get_batch({.indices = bad_only, .skipped = &skipped}); }),
              HasSubstr("all 1 samples"));
}

TEST(TokenDatasetTest, CutOffTokenAndImpossibleOptionsAreRefused) {
  EXPECT_THAT(bad_sample([] { TokenDataset(SharedBytes::of("abc", "t.bin"), {.block_size = 1}); }),
              HasSubstr("t.bin: 3 bytes are no whole number of tokens of 2 bytes"));
  EXPECT_THROW(TokenDataset(file_of(counting(8)), {.block_size = 0}), std::invalid_argument);
  EXPECT_THROW(TokenDataset(file_of(counting(8)), {.block_size = 1, .stride = -1}),
               std::invalid_argument);
}

TEST(TokenDatasetTest, PositionsBeyond32BitsAreReached) {
  // A file with a hole: 2^32 + 8 tokens, 8 GiB that take no room.
  const std::string path = (std::filesystem::path(testing::TempDir()) / "large.bin").string();
  constexpr std::int64_t kTokens = (1LL << 32) + 8;
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  ASSERT_GE(descriptor, 0);
  ASSERT_EQ(ftruncate(descriptor, kTokens * 2), 0);
  const std::vector<std::uint16_t> last = {11, 12, 13};
  ASSERT_EQ(pwrite(descriptor, last.data(), 6, (kTokens - 3) * 2), 6);
  close(descriptor);
  const TokenDataset data(SharedBytes::map(path), {.block_size = 2, .stride = 1});
  std::filesystem::remove(path);
  EXPECT_EQ(data.tokens(), kTokens);
  EXPECT_EQ(data.size(), kTokens - 2);
  EXPECT_THAT(flat(sample(data, data.size() - 1)[0].tensor()), ElementsAre(11, 12));
  EXPECT_THAT(flat(sample(data, data.size() - 1)[1].tensor()), ElementsAre(12, 13));
}

RC_GTEST_PROP(TokenDatasetTest, BatchesAreTheSamplesOneByOne, ()) {
  const auto tokens = *rc::gen::suchThat<std::vector<std::uint16_t>>(
      [](const auto& all) { return all.size() >= 2; });
  const auto length = static_cast<std::int64_t>(tokens.size());
  const auto block = *rc::gen::inRange<std::int64_t>(1, length);
  const auto stride = *rc::gen::inRange<std::int64_t>(1, length + 1);
  const TokenDataset data(file_of(tokens), {.block_size = block, .stride = stride});
  std::vector<std::int64_t> indices(static_cast<std::size_t>(data.size()));
  std::iota(indices.begin(), indices.end(), 0);
  const Batch batch = data.get_batch({.indices = indices});
  for (const std::int64_t index : indices) {
    const Batch one = sample(data, index);
    for (int part = 0; part < 2; ++part) {
      const std::vector<std::int64_t> row = flat(one[part].tensor());
      RC_ASSERT(flat(batch[part].tensor()[index]) == row);
      for (std::size_t j = 0; j < row.size(); ++j)
        RC_ASSERT(row[j] == tokens[static_cast<std::size_t>(index * stride + part) + j]);
    }
  }
  // One more would not fit.
  RC_ASSERT(data.size() * stride + block + 1 > length);
}

}  // namespace
}  // namespace lctl
