#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/jobs/job_store.h"
#include "storage/search/filter_parsing.h"
#include "storage/store.h"
#include "storage/testing/store_fixture.h"
#include "storage/tracking/tracking_store.h"

namespace lctl::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class RunsTest : public StoreTest {
 protected:
  TrackingStore& tracking() { return store().tracking(); }

  JobId start(const std::string& name, Tags tags = {}) {
    return tracking().create_run({.name = name, .user = "anna", .tags = std::move(tags)})->id;
  }

  std::vector<std::string> names(RunFilter filter) {
    filter.experiments = {kDefaultExperiment};
    std::vector<std::string> result;
    const auto found = tracking().runs(filter);
    if (!found.ok()) return {found.status().ToString()};
    for (const auto& run : *found) result.push_back(run.name);
    return result;
  }
};

TEST_F(RunsTest, NewRunIsAJobThatListsAndStatusShow) {
  const JobId id = start("first", {{"team", "vision"}});
  const auto job = store().jobs().get(id);
  ASSERT_TRUE(job.ok());
  EXPECT_EQ(job->state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(job->spec().name(), "first");
  EXPECT_EQ(job->spec().experiment(), "Default");
  EXPECT_EQ(job->submitted_by(), "anna");
  EXPECT_EQ(store().jobs().transitions(id)->size(), 1u);
  EXPECT_EQ(*store().jobs().origin(id), Origin::kLogged);
  EXPECT_EQ(store().jobs().list({.origin = Origin::kSubmitted})->size(), 0u);
  EXPECT_EQ(*store().jobs().resolve("first"), id);
}

TEST_F(RunsTest, StatesAndTimesAreThoseOfItsScript) {
  const JobId id = tracking().create_run({.name = "r", .start_us = 5'000'000})->id;
  EXPECT_EQ(tracking().run(id)->start_us, 5'000'000);
  auto run = tracking().update_run(id, {.state = v1::JOB_STATE_SUCCEEDED, .end_us = 9'000'000});
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->state, v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(run->end_us, 9'000'000);
  // It may go on: MLflow's scripts resume runs.
  run = tracking().update_run(id, {.state = v1::JOB_STATE_RUNNING});
  EXPECT_EQ(run->end_us, 0);
  EXPECT_EQ(store().jobs().transitions(id)->size(), 3u);
}

TEST_F(RunsTest, DeletedRunLeavesListsAndComesBack) {
  const JobId id = start("a");
  ASSERT_TRUE(tracking().set_run_deleted(id, true).ok());
  EXPECT_THAT(*store().jobs().list({}), IsEmpty());
  EXPECT_THAT(names({}), IsEmpty());
  EXPECT_THAT(names({.lifecycle = Lifecycle::kDeleted}), ElementsAre("a"));
  EXPECT_TRUE(absl::IsNotFound(store().jobs().resolve("@last").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(tracking().log(id, {.parameters = {{"a", "1"}}})));
  ASSERT_TRUE(tracking().set_run_deleted(id, false).ok());
  EXPECT_THAT(names({}), ElementsAre("a"));
}

TEST_F(RunsTest, AreSearchedAndOrdered) {
  const JobId a = start("a", {{"mlflow.parentRunId", "p"}});
  const JobId b = start("b");
  ASSERT_TRUE(
      tracking().log(a, {.points = {{"loss", 0.5, 1, 1}}, .parameters = {{"lr", "0.1"}}}).ok());
  ASSERT_TRUE(
      tracking().log(b, {.points = {{"loss", 0.25, 1, 1}}, .parameters = {{"lr", "0.2"}}}).ok());
  EXPECT_THAT(names({}), ElementsAre("b", "a"));
  EXPECT_THAT(names({.where = *parse_filter("metrics.loss < 0.3")}), ElementsAre("b"));
  EXPECT_THAT(names({.where = *parse_filter("params.lr = '0.1'")}), ElementsAre("a"));
  EXPECT_THAT(names({.where = *parse_filter("tags.mlflow.parentRunId = 'p'")}), ElementsAre("a"));
  EXPECT_THAT(names({.where = *parse_filter("tags.`mlflow.runName` = 'b'")}), ElementsAre("b"));
  EXPECT_THAT(names({.order = {*parse_order("metrics.loss DESC")}}), ElementsAre("a", "b"));
  EXPECT_THAT(names({.before = b.str()}), ElementsAre("a"));
  EXPECT_THAT(names({.limit = 1}), ElementsAre("b"));
}

TEST_F(RunsTest, OfSeveralExperimentsAreFoundTogether) {
  const std::int64_t other = *tracking().create_experiment("other", {});
  start("a");
  ASSERT_TRUE(tracking().create_run({.experiment = other, .name = "b"}).ok());
  EXPECT_EQ(tracking().runs({.experiments = {kDefaultExperiment, other}})->size(), 2u);
  EXPECT_EQ(tracking().runs({.experiments = {other}})->size(), 1u);
  EXPECT_EQ(tracking().runs({})->size(), 0u);
  EXPECT_TRUE(absl::IsNotFound(tracking().runs({.experiments = {99}}).status()));
}

TEST_F(RunsTest, SubmittedJobCanBeReadAndNotWritten) {
  const JobId id = add_job(store());
  start_attempt(store(), id, 1);
  log_steps(store(), {id, 1}, 0, 3);
  const auto run = tracking().run(id);
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->origin, Origin::kSubmitted);
  ASSERT_EQ(run->metrics.size(), 1u);
  EXPECT_EQ(run->metrics[0].key, "train/loss");
  EXPECT_EQ(run->metrics[0].step, 2);
  for (const absl::Status& status :
       {tracking().log(id, {.points = {{"x", 1, 1, 1}}}),
        tracking().update_run(id, {.state = v1::JOB_STATE_FAILED}).status(),
        tracking().set_run_deleted(id, true)}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status));
    EXPECT_THAT(status.ToString(), HasSubstr("a job submitted to lctl"));
  }
}

TEST_F(RunsTest, TheCodeOfASubmittedJobIsKnownByMlflowsTags) {
  v1::SourceCode source;
  source.set_commit("0123abc");
  source.set_remote("https://example.org/models.git");
  const JobId id("aaaaaaaaaa");
  ASSERT_TRUE(store().jobs().create({.job = make_job(id.str(), "x"), .source = source}, "").ok());
  EXPECT_THAT(tracking().run(id)->tags,
              ElementsAre(Pair("mlflow.source.git.commit", "0123abc"),
                          Pair("mlflow.source.git.repoURL", "https://example.org/models.git")));
}

TEST_F(RunsTest, NameNoteAndTagsAreWhatOtherDoorsShow) {
  const JobId id = start("a");
  RunBatch batch{.labels = {.tags = {{"team", "vision"}}, .note = "why"}, .name = "b"};
  ASSERT_TRUE(tracking().log(id, batch).ok());
  const auto job = store().jobs().get(id);
  EXPECT_EQ(job->note(), "why");
  EXPECT_EQ(job->spec().name(), "b");
  EXPECT_THAT(tracking().run(id)->tags, ElementsAre(Pair("team", "vision")));
  EXPECT_EQ(store().jobs().list({.search = "why"})->size(), 1u);
}

TEST_F(RunsTest, UnknownRunIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(tracking().run(JobId("none")).status()));
  EXPECT_TRUE(absl::IsNotFound(tracking().log(JobId("none"), {})));
}

}  // namespace
}  // namespace lctl::storage
