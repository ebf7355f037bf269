#include "worker/trainer/trainer/regrouped_state.h"

#include <cmath>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "worker/trainer/connectors/metric_value.h"
#include "worker/trainer/core/log_options.h"

namespace lctl {
namespace {

using checkpoint::Dict;
using checkpoint::List;

constexpr std::uint64_t kSeed = 7;

Dict metric(std::string key, Reduction reduction, double value, std::int64_t count) {
  Dict item;
  item.set("hook", 3);
  item.set("key", std::move(key));
  item.set("dataloader_idx", -1);
  item.set("flags", 0);
  item.set("reduce", static_cast<std::int64_t>(reduction));
  item.set("has_reset", false);
  item.set("value", MetricValue(value, false).tensor());
  item.set("count", count);
  return item;
}

// A rank that has logged a mean over `count` samples, a sum, a minimum and a maximum.
Dict rank(double sum, std::int64_t count) {
  List metrics;
  metrics.emplace_back(metric("loss", Reduction::kMean, sum, count));
  metrics.emplace_back(metric("seen", Reduction::kSum, sum, 0));
  metrics.emplace_back(metric("least", Reduction::kMin, sum, 0));
  metrics.emplace_back(metric("most", Reduction::kMax, sum, 0));
  Dict results;
  results.set("train_results", std::move(metrics));
  Dict state;
  state.set("position", 1);
  state.set("own", sum);
  state.set("results", std::move(results));
  return state;
}

List four() {
  List ranks;
  for (const double each : {1.0, 2.0, 4.0, 8.0}) ranks.emplace_back(rank(each, 10));
  return ranks;
}

const Dict& result(const Dict& state, std::size_t index) {
  return state.at("results").as_dict().at("train_results").as_list()[index].as_dict();
}
double value(const Dict& state, std::size_t index) {
  return result(state, index).at("value").as_tensor().item<double>();
}

TEST(RegroupedStateTest, AsManyRanksEachHaveTheirOwn) {
  for (int r = 0; r < 4; ++r) {
    const Dict state = regrouped_state(four(), r, 4, kSeed);
    EXPECT_EQ(state.at("own").as_double(), 1 << r);
    EXPECT_EQ(value(state, 0), 1 << r);
    EXPECT_EQ(state.find("reseed"), nullptr);
  }
}

TEST(RegroupedStateTest, FewerTakeOverWhatTheOthersHaveLogged) {
  const Dict first = regrouped_state(four(), 0, 3, kSeed);
  EXPECT_EQ(first.at("own").as_double(), 1.0);
  EXPECT_EQ(value(first, 0), 1.0 + 8.0);
  EXPECT_EQ(result(first, 0).at("count").as_int(), 20);
  EXPECT_EQ(value(first, 1), 9.0);
  EXPECT_EQ(value(first, 2), 1.0);
  EXPECT_EQ(value(first, 3), 8.0);
  EXPECT_EQ(value(regrouped_state(four(), 1, 3, kSeed), 0), 2.0);
  const Dict alone = regrouped_state(four(), 0, 1, kSeed);
  EXPECT_EQ(value(alone, 0), 15.0);
  EXPECT_EQ(result(alone, 0).at("count").as_int(), 40);
}

TEST(RegroupedStateTest, NewRanksCountNothingTwiceAndDrawForThemselves) {
  const List two = {rank(1, 10), rank(2, 10)};
  const Dict third = regrouped_state(two, 2, 4, kSeed);
  const Dict fourth = regrouped_state(two, 3, 4, kSeed);
  EXPECT_EQ(value(third, 0), 0.0);
  EXPECT_EQ(result(third, 0).at("count").as_int(), 0);
  EXPECT_FALSE(result(third, 0).at("has_reset").as_bool()) << "it takes part in reductions";
  EXPECT_TRUE(std::isinf(value(third, 2)) && value(third, 2) > 0);
  EXPECT_TRUE(std::isinf(value(third, 3)) && value(third, 3) < 0);
  EXPECT_NE(third.at("reseed").as_int(), fourth.at("reseed").as_int());
  EXPECT_EQ(third.at("reseed").as_int(), regrouped_state(two, 2, 3, kSeed).at("reseed").as_int());
}

TEST(RegroupedStateTest, WhatRanksHadIsLeftAlone) {
  const List ranks = four();
  regrouped_state(ranks, 0, 1, kSeed);
  regrouped_state(ranks, 5, 6, kSeed);
  EXPECT_EQ(value(ranks[0].as_dict(), 0), 1.0);
  EXPECT_EQ(value(ranks[1].as_dict(), 0), 2.0);
}

}  // namespace
}  // namespace lctl
