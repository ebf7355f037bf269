// A batch built row by row is the one that collate() makes of all samples.
#include "worker/trainer/data/batch_builder.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros.h>

#include <array>
#include <cstring>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/collate.h"

namespace lctl {
namespace {

bool same(const Batch& a, const Batch& b) {
  if (a.is_tensor())
    return b.is_tensor() && a.tensor().dtype() == b.tensor().dtype() &&
           a.tensor().is_contiguous() && a.tensor().equal(b.tensor());
  if (a.is_list()) {
    if (!b.is_list() || a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
      if (!same(a[i], b[i])) return false;
    return true;
  }
  if (a.is_map()) {
    if (!b.is_map() || a.size() != b.size()) return false;
    for (const auto& [key, item] : a.map())
      if (!same(item, b[std::string_view(key)])) return false;
    return true;
  }
  return a.is_text() == b.is_text();
}

Batch built(const std::vector<Batch>& samples) {
  BatchBuilder batch(samples.size());
  for (std::size_t row = samples.size(); row-- > 0;) batch.put(row, samples[row]);
  return batch.finish();
}

Batch image_sample(std::int64_t i) {
  return Batch::Map{
      {"image", at::randint(256, {7, 37, 3}, at::kByte).permute({2, 0, 1})},
      {"parts", Batch::List{at::full({}, i, at::kLong), at::rand({4, 3}).t(), at::zeros({0})}},
      {"name", Batch("sample " + std::to_string(i))}};
}

TEST(BatchBuilderTest, MakesWhatCollateMakes) {
  std::vector<Batch> samples;
  for (std::int64_t i = 0; i < 5; ++i) samples.push_back(image_sample(i));
  EXPECT_TRUE(same(built(samples), collate(samples)));
}

TEST(BatchBuilderTest, SeveralThreadsMayPutRows) {
  constexpr std::size_t kRows = 64;
  std::vector<Batch> samples;
  for (std::size_t i = 0; i < kRows; ++i)
    samples.push_back(image_sample(static_cast<std::int64_t>(i)));
  BatchBuilder batch(kRows);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t row = t; row < kRows; row += 4) batch.put(row, samples[row]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(same(batch.finish(), collate(samples)));
}

TEST(BatchBuilderTest, SamplesThatDifferAreJudgedAsCollateDoes) {
  // Different dtypes are promoted; different shapes are refused with both.
  const std::vector<Batch> mixed = {Batch(at::zeros({2}, at::kInt)), Batch(at::rand({2}))};
  EXPECT_TRUE(same(built(mixed), collate(mixed)));
  try {
    built({Batch(at::rand({2})), Batch(at::rand({3})), Batch(at::rand({2}))});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "samples of different shapes cannot be batched: [2] and [3]");
  }
}

TEST(BatchBuilderTest, RowsThatAreMissingAreLeftOut) {
  BatchBuilder batch(4);
  batch.put(3, Batch(at::full({2}, 3.0)));
  batch.put(1, Batch(at::full({2}, 1.0)));
  EXPECT_TRUE(
      same(batch.finish(), collate({Batch(at::full({2}, 1.0)), Batch(at::full({2}, 3.0))})));
  EXPECT_THROW(BatchBuilder(4).finish(), BadSample);
}

TEST(BatchBuilderTest, ColumnsAreWrittenInPlaceAndMixWithSamples) {
  const std::array<BatchBuilder::Column, 2> columns = {BatchBuilder::Column{{3}, at::kFloat},
                                                       BatchBuilder::Column{{}, at::kLong}};
  BatchBuilder batch(2);
  const std::vector<at::Tensor>* rows = batch.columns(columns);
  ASSERT_NE(rows, nullptr);
  (*rows)[0][1].fill_(7);
  (*rows)[1][1].fill_(9);
  batch.mark(1, 1);
  batch.put(0, Batch::List{at::full({3}, 1.0F), at::full({}, 2, at::kLong)});
  const Batch made = batch.finish();
  EXPECT_TRUE(same(made[1], Batch(at::arange(2, 16, 7, at::kLong))));
  EXPECT_EQ(made[0].tensor()[0][0].item<float>(), 1);
  EXPECT_EQ(made[0].tensor()[1][2].item<float>(), 7);

  BatchBuilder other(2);
  other.put(0, Batch(at::rand({3})));
  EXPECT_EQ(other.columns(columns), nullptr);  // that batch is a tensor, not a list
}

TEST(BatchBuilderTest, ATensorMayBeMadeInItsRow) {
  const BatchBuilder::Column image = {{2, 3}, at::kByte};
  const auto sample = [](std::int64_t i) {
    return Batch::List{Batch(), at::full({}, i, at::kLong), Batch("sample")};
  };
  BatchBuilder batch(3);
  for (std::size_t row = 3; row-- > 1;) {
    void* const memory = batch.put_around(row, sample(static_cast<std::int64_t>(row)), 0, image);
    ASSERT_NE(memory, nullptr);
    std::memset(memory, static_cast<int>(row), 6);
    batch.mark(row, 1);
  }
  // Neither another size nor another kind of sample has a place; nothing is put then.
  EXPECT_EQ(batch.put_around(0, sample(0), 0, {{2, 4}, at::kByte}), nullptr);
  EXPECT_EQ(batch.put_around(0, sample(0), 0, {{2, 3}, at::kInt}), nullptr);
  EXPECT_EQ(batch.put_around(0, {Batch(), Batch("text"), Batch("sample")}, 0, image), nullptr);
  EXPECT_EQ(batch.put_around(0, {Batch(), at::full({}, 0, at::kLong)}, 0, image), nullptr);
  const Batch made = batch.finish();  // without row 0
  ASSERT_EQ(made[0].tensor().sizes(), (std::vector<std::int64_t>{2, 2, 3}));
  EXPECT_TRUE(made[0].tensor()[0].eq(1).all().item<bool>());
  EXPECT_TRUE(made[0].tensor()[1].eq(2).all().item<bool>());
  EXPECT_TRUE(same(made[1], Batch(at::arange(1, 3, at::kLong))));
}

TEST(BatchBuilderTest, TensorsLieInTheMemoryThatWasAskedFor) {
  std::vector<const void*> given;
  const BatchMemory memory = [&](at::IntArrayRef sizes, at::ScalarType dtype) {
    at::Tensor tensor = at::empty(sizes, dtype);
    given.push_back(tensor.const_data_ptr());
    return tensor;
  };
  BatchBuilder whole(2, memory);
  whole.put(0, Batch(at::rand({3})));
  whole.put(1, Batch(at::rand({3})));
  const at::Tensor rows = whole.finish().tensor();
  EXPECT_EQ(rows.const_data_ptr(), given.back());

  BatchBuilder with_a_gap(2, memory);
  with_a_gap.put(1, Batch(at::rand({3})));
  const at::Tensor row = with_a_gap.finish().tensor();
  EXPECT_EQ(row.const_data_ptr(), given.back());
}

}  // namespace
}  // namespace lctl
