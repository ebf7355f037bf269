#include "worker/trainer/checkpoint/comparison.h"

#include <ATen/ATen.h>

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::checkpoint {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::IsEmpty;

Value checkpoint(double lr, const at::Tensor& weight) {
  return Dict{{"epoch", 1},
              {"state_dict", Dict{{"weight", weight}, {"bias", at::zeros({2})}}},
              {"optimizer_states", List{Dict{{"lr", lr}, {"name", "adam"}}}},
              {"betas", Tuple{{0.9, 0.999}}}};
}

std::vector<std::string> paths(const Comparison& comparison) {
  std::vector<std::string> all;
  for (const Difference& each : comparison.differences) all.push_back(each.path);
  return all;
}

TEST(ComparisonTest, EqualCheckpointsDifferInNothing) {
  const Comparison same =
      compare(checkpoint(0.1, at::ones({2, 2})), checkpoint(0.1, at::ones({2, 2})));
  EXPECT_THAT(same.differences, IsEmpty());
  EXPECT_EQ(same.equal_tensors, 2);
  EXPECT_EQ(same.equal_elements, 6);
  EXPECT_EQ(same.equal_values, 5);
}

TEST(ComparisonTest, TensorsAreMeasuredAndValuesShown) {
  at::Tensor weight = at::ones({2, 2});
  weight[0][0] = 3;
  const Comparison other = compare(checkpoint(0.1, at::ones({2, 2})), checkpoint(0.2, weight));
  ASSERT_THAT(paths(other), ElementsAre("state_dict.weight", "optimizer_states.0.lr"));
  const Difference& tensor = other.differences[0];
  EXPECT_EQ(tensor.first, "float [2, 2]");
  ASSERT_TRUE(tensor.tensor.has_value());
  EXPECT_EQ(tensor.tensor->changed, 1);
  EXPECT_EQ(tensor.tensor->elements, 4);
  EXPECT_EQ(tensor.tensor->largest, 2);
  EXPECT_THAT(tensor.tensor->relative, DoubleNear(1, 1e-12));
  EXPECT_EQ(other.differences[1].first, "0.1");
  EXPECT_EQ(other.differences[1].second, "0.2");
}

TEST(ComparisonTest, NanIsEqualToNanAndAChangeFromANumber) {
  const at::Tensor nan = at::full({1}, std::nan(""));
  EXPECT_THAT(compare(nan, nan.clone()).differences, IsEmpty());
  const Comparison became = compare(at::zeros({1}), nan);
  ASSERT_EQ(became.differences.size(), 1u);
  EXPECT_TRUE(std::isnan(became.differences[0].tensor->largest));
}

TEST(ComparisonTest, ShapesAndTypesAreChangesOfTheirOwn) {
  const Comparison shape = compare(at::ones({2}), at::ones({3}));
  ASSERT_EQ(shape.differences.size(), 1u);
  EXPECT_FALSE(shape.differences[0].tensor.has_value());
  EXPECT_EQ(shape.differences[0].second, "float [3]");
  EXPECT_EQ(compare(1, 1.0).differences.size(), 1u) << "an int is no float";
}

TEST(ComparisonTest, WhatOneLacksIsToldOnce) {
  const Comparison comparison = compare(Dict{{"a", Dict{{"x", 1}, {"y", 2}}}, {"l", List{1, 2}}},
                                        Dict{{"l", List{1}}, {"b", 3}});
  ASSERT_THAT(paths(comparison), ElementsAre("a", "l.1", "b"));
  EXPECT_EQ(comparison.differences[0].kind, Difference::Kind::kOnlyFirst);
  EXPECT_EQ(comparison.differences[0].first, "dict of 2");
  EXPECT_EQ(comparison.differences[2].kind, Difference::Kind::kOnlySecond);
}

}  // namespace
}  // namespace lctl::checkpoint
