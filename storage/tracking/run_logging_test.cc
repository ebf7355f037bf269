#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/metrics/metric_store.h"
#include "storage/store.h"
#include "storage/testing/store_fixture.h"
#include "storage/tracking/tracking_store.h"

namespace lctl::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class RunLoggingTest : public StoreTest {
 protected:
  RunLoggingTest() : id_(store().tracking().create_run({.name = "run"})->id) {}

  absl::Status log(std::vector<LoggedPoint> points) {
    return store().tracking().log(id_, {.points = std::move(points)});
  }
  std::vector<double> values(const std::string& key = "loss") {
    std::vector<double> result;
    const auto points = store().metrics().read({.job = id_, .key = key});
    for (const MetricPoint& point : *points) result.push_back(point.value);
    return result;
  }
  absl::Status param(const std::string& key, const std::string& value) {
    return store().tracking().log(id_, {.parameters = {{key, value}}});
  }

  JobId id_;
};

TEST_F(RunLoggingTest, PointsBecomeACurve) {
  ASSERT_TRUE(log({{"loss", 3, 1, 1}, {"acc", 0.5, 1, 1}, {"loss", 2, 2, 2}}).ok());
  ASSERT_TRUE(log({{"loss", 1, 3, 3}}).ok());
  EXPECT_THAT(values(), ElementsAre(3, 2, 1));
  EXPECT_THAT(values("acc"), ElementsAre(0.5));
  EXPECT_EQ(store().metrics().summaries(id_)->size(), 2u);
}

TEST_F(RunLoggingTest, RepeatedRequestChangesNothing) {
  const std::vector<LoggedPoint> points = {
      {"loss", 3, 1, 1}, {"loss", std::nan(""), 2, 1}, {"loss", 3, 1, 1}, {"loss", 4, 1, 1}};
  ASSERT_TRUE(log(points).ok());
  ASSERT_TRUE(log(points).ok());
  EXPECT_EQ(values().size(), 3u);
  ASSERT_TRUE(log({{"loss", 3, 2, 1}}).ok());  // another time: another point
  EXPECT_EQ(values().size(), 4u);
}

TEST_F(RunLoggingTest, StepsMayGoBackAndForth) {
  ASSERT_TRUE(log({{"loss", 5, 1, 5}}).ok());
  ASSERT_TRUE(log({{"loss", -1, 2, -1}, {"loss", 3, 3, 3}}).ok());
  EXPECT_THAT(values(), ElementsAre(-1, 3, 5));
}

TEST_F(RunLoggingTest, ManyPointsOfOneStepAreAllKept) {
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(log({{"loss", 1.0 * i, i, 0}}).ok());
  EXPECT_EQ(values().size(), 300u);
  EXPECT_EQ(values().back(), 299);
}

TEST_F(RunLoggingTest, InfinitiesAreKept) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  ASSERT_TRUE(log({{"loss", kInfinity, 1, 1}, {"loss", -kInfinity, 1, 2}}).ok());
  EXPECT_THAT(values(), ElementsAre(kInfinity, -kInfinity));
}

TEST_F(RunLoggingTest, CurveIsReadPageByPage) {
  std::vector<LoggedPoint> points;
  for (int i = 0; i < 5'000; ++i) points.push_back({"loss", 1.0 * i, i, i});
  ASSERT_TRUE(log(points).ok());
  MetricQuery query{.job = id_, .key = "loss", .skip = 2'100, .limit = 3};
  auto page = store().metrics().read(query);
  ASSERT_EQ(page->size(), 3u);
  EXPECT_EQ(page->front().step, 2'100);
  query.skip = 4'998;
  EXPECT_EQ(store().metrics().read(query)->size(), 2u);
  query.skip = 5'000;
  EXPECT_EQ(store().metrics().read(query)->size(), 0u);
}

TEST_F(RunLoggingTest, ParameterIsWrittenOnce) {
  ASSERT_TRUE(param("lr", "0.1").ok());
  ASSERT_TRUE(param("lr", "0.1").ok());
  const absl::Status status = param("lr", "0.2");
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(status.ToString(),
              HasSubstr("Param with key='lr' was already logged with value='0.1'"));
  EXPECT_THAT(store().tracking().run(id_)->parameters, ElementsAre(Pair("lr", "0.1")));
}

TEST_F(RunLoggingTest, RefusedBatchLeavesNoTrace) {
  ASSERT_TRUE(param("lr", "0.1").ok());
  RunBatch batch{.points = {{"loss", 1, 1, 1}},
                 .parameters = {{"lr", "0.2"}},
                 .labels = {.tags = {{"a", "b"}}}};
  EXPECT_FALSE(store().tracking().log(id_, batch).ok());
  const auto run = store().tracking().run(id_);
  EXPECT_TRUE(run->metrics.empty());
  EXPECT_TRUE(run->tags.empty());
}

TEST_F(RunLoggingTest, TextsOutOfBoundsAreRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(log({{"", 1, 1, 1}})));
  EXPECT_TRUE(absl::IsInvalidArgument(log({{std::string(513, 'k'), 1, 1, 1}})));
  EXPECT_TRUE(absl::IsInvalidArgument(log({{"a\nb", 1, 1, 1}})));
  EXPECT_TRUE(absl::IsInvalidArgument(param("k", std::string(6'001, 'v'))));
  EXPECT_TRUE(absl::IsInvalidArgument(
      store().tracking().log(id_, {.parameters = {{"a", "1"}, {"a", "2"}}})));
}

TEST_F(RunLoggingTest, DatasetsAndModelsAreKept) {
  RunBatch batch{.datasets = {{.name = "mnist", .digest = "d", .tags = {{"context", "train"}}}},
                 .models = {{.model = "m-1", .output = true, .step = 7}}};
  ASSERT_TRUE(store().tracking().log(id_, batch).ok());
  ASSERT_TRUE(store().tracking().log(id_, batch).ok());
  const auto run = store().tracking().run(id_);
  ASSERT_EQ(run->datasets.size(), 1u);
  EXPECT_THAT(run->datasets[0].tags, ElementsAre(Pair("context", "train")));
  ASSERT_EQ(run->models.size(), 1u);
  EXPECT_EQ(run->models[0].step, 7);
}

}  // namespace
}  // namespace lctl::storage
