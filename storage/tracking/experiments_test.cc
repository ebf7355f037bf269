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

class ExperimentsTest : public StoreTest {
 protected:
  TrackingStore& tracking() { return store().tracking(); }

  std::vector<std::string> names(std::string_view where = "", std::string_view order = "",
                                 Lifecycle lifecycle = Lifecycle::kActive) {
    const std::vector<std::string_view> own = experiment_attributes();
    std::vector<Order> orders;
    if (!order.empty()) orders.push_back(*parse_order(order, own));
    std::vector<std::string> result;
    const auto found = tracking().experiments(lifecycle, *parse_filter(where, own), orders);
    for (const Experiment& one : *found) result.push_back(one.name);
    return result;
  }
};

TEST_F(ExperimentsTest, DefaultIsThereFromTheBeginning) {
  const auto found = tracking().experiment(kDefaultExperiment);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->name, "Default");
  EXPECT_FALSE(found->deleted);
}

TEST_F(ExperimentsTest, CreatedOneIsFoundByIdAndName) {
  const auto id = tracking().create_experiment("digits", {{"team", "vision"}});
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(tracking().experiment(*id)->name, "digits");
  EXPECT_EQ(tracking().experiment_named("digits")->id, *id);
  EXPECT_THAT(tracking().experiment(*id)->tags, ElementsAre(Pair("team", "vision")));
  EXPECT_TRUE(absl::IsNotFound(tracking().experiment(*id + 1).status()));
  EXPECT_TRUE(absl::IsNotFound(tracking().experiment_named("none").status()));
}

TEST_F(ExperimentsTest, TakenNameIsRefused) {
  ASSERT_TRUE(tracking().create_experiment("digits", {}).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(tracking().create_experiment("digits", {}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(tracking().create_experiment("", {}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(tracking().create_experiment("a\nb", {}).status()));
}

TEST_F(ExperimentsTest, ExperimentOfASubmittedJobIsThere) {
  add_job(store());
  EXPECT_TRUE(tracking().experiment_named(make_job("x", "y").spec().experiment()).ok());
}

TEST_F(ExperimentsTest, AreSearchedByNameTagAndOrder) {
  ASSERT_TRUE(tracking().create_experiment("aa", {{"team", "vision"}}).ok());
  ASSERT_TRUE(tracking().create_experiment("ab", {{"team", "speech"}}).ok());
  EXPECT_THAT(names("name LIKE 'a%'"), ElementsAre("ab", "aa"));
  EXPECT_THAT(names("attribute.name = 'aa'"), ElementsAre("aa"));
  EXPECT_THAT(names("tags.team = 'speech'"), ElementsAre("ab"));
  EXPECT_THAT(names("creation_time > 0", "name ASC"), ElementsAre("aa", "ab"));
  EXPECT_TRUE(
      absl::IsInvalidArgument(parse_filter("state = 'x'", experiment_attributes()).status()));
}

TEST_F(ExperimentsTest, DeletedOneTakesItsRunsAlongAndBringsThemBack) {
  const auto id = tracking().create_experiment("digits", {});
  const auto kept = tracking().create_run({.experiment = *id, .name = "kept"});
  const auto gone = tracking().create_run({.experiment = *id, .name = "gone"});
  ASSERT_TRUE(tracking().set_run_deleted(gone->id, true).ok());
  clock_.advance(std::chrono::seconds(1));
  ASSERT_TRUE(tracking().set_experiment_deleted(*id, true).ok());
  EXPECT_THAT(names(), ElementsAre("Default"));
  EXPECT_THAT(names("", "", Lifecycle::kDeleted), ElementsAre("digits"));
  EXPECT_TRUE(tracking().run(kept->id)->deleted);
  EXPECT_THAT(*store().jobs().list({}), IsEmpty());
  EXPECT_TRUE(absl::IsFailedPrecondition(
      tracking().create_run({.experiment = *id, .name = "new"}).status()));

  ASSERT_TRUE(tracking().set_experiment_deleted(*id, false).ok());
  EXPECT_FALSE(tracking().run(kept->id)->deleted);
  EXPECT_TRUE(tracking().run(gone->id)->deleted);
}

TEST_F(ExperimentsTest, WithUnfinishedJobsIsNeitherDeletedNorRenamed) {
  add_job(store());
  const std::int64_t id = tracking().experiment_named(make_job("x", "y").spec().experiment())->id;
  const absl::Status status = tracking().set_experiment_deleted(id, true);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(status.ToString(), HasSubstr("1 of its jobs are queued or running"));
  EXPECT_TRUE(absl::IsFailedPrecondition(tracking().rename_experiment(id, "other")));
}

TEST_F(ExperimentsTest, RenamingKeepsItsRuns) {
  const auto id = tracking().create_experiment("digits", {});
  const auto run = tracking().create_run({.experiment = *id, .name = "one"});
  ASSERT_TRUE(tracking().rename_experiment(*id, "letters").ok());
  EXPECT_EQ(tracking().run(run->id)->experiment, *id);
  EXPECT_EQ(store().jobs().get(run->id)->spec().experiment(), "letters");
  EXPECT_EQ(store().jobs().list({.search = "letters"})->size(), 1u);
  EXPECT_TRUE(absl::IsAlreadyExists(tracking().rename_experiment(*id, "Default")));
  EXPECT_TRUE(absl::IsFailedPrecondition(tracking().rename_experiment(kDefaultExperiment, "x")));
}

TEST_F(ExperimentsTest, TagsAreSetAndRemoved) {
  ASSERT_TRUE(tracking().tag_experiment(kDefaultExperiment, "a", "1").ok());
  ASSERT_TRUE(tracking().tag_experiment(kDefaultExperiment, "a", "2").ok());
  EXPECT_THAT(tracking().experiment(kDefaultExperiment)->tags, ElementsAre(Pair("a", "2")));
  ASSERT_TRUE(tracking().tag_experiment(kDefaultExperiment, "a", std::nullopt).ok());
  EXPECT_TRUE(absl::IsNotFound(tracking().tag_experiment(kDefaultExperiment, "a", std::nullopt)));
}

}  // namespace
}  // namespace lctl::storage
