#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/search/filter_parsing.h"
#include "storage/store.h"
#include "storage/testing/store_fixture.h"
#include "storage/tracking/model_store.h"

namespace lctl::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class ModelsTest : public StoreTest {
 protected:
  ModelStore& models() { return store().models(); }

  std::int64_t add_version(const std::string& model, const std::string& source = "models:/m-x") {
    return models().create_version({.model = model, .source = source})->version;
  }
};

TEST_F(ModelsTest, LoggedModelIsPendingUntilItIsFinished) {
  const auto made = models().create_logged({.name = "net", .params = {{"lr", "0.1"}}});
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->status, ModelStatus::kPending);
  EXPECT_TRUE(made->id.starts_with("m-"));
  ASSERT_TRUE(models().finish_logged(made->id, ModelStatus::kReady).ok());
  const auto found = models().logged(made->id);
  EXPECT_EQ(found->status, ModelStatus::kReady);
  EXPECT_THAT(found->params, ElementsAre(Pair("lr", "0.1")));
}

TEST_F(ModelsTest, LoggedModelsAreSearched) {
  const auto a =
      models().create_logged({.name = "a", .source_run = "r1", .params = {{"lr", "0.1"}}});
  const auto b = models().create_logged({.name = "b", .tags = {{"team", "vision"}}});
  const auto found = [&](std::string_view where) {
    std::vector<std::string> names;
    const auto result =
        models().search_logged({0}, *parse_filter(where, logged_model_attributes()), {});
    for (const LoggedModel& model : *result) names.push_back(model.name);
    return names;
  };
  EXPECT_THAT(found(""), ElementsAre("b", "a"));
  EXPECT_THAT(found("source_run_id = 'r1'"), ElementsAre("a"));
  EXPECT_THAT(found("params.lr < 0.5"), ElementsAre("a"));
  EXPECT_THAT(found("tags.team = 'vision'"), ElementsAre("b"));
  ASSERT_TRUE(models().delete_logged(b->id).ok());
  EXPECT_THAT(found(""), ElementsAre("a"));
  EXPECT_TRUE(models().logged(b->id)->deleted);
  EXPECT_TRUE(absl::IsNotFound(models().finish_logged(b->id, ModelStatus::kReady).status()));
}

TEST_F(ModelsTest, LoggedModelKeepsTagsAndParams) {
  const std::string id = models().create_logged({.name = "net"})->id;
  ASSERT_TRUE(models().label_logged(id, {.tags = {{"a", "1"}}}).ok());
  ASSERT_TRUE(models().label_logged(id, {.removed_tags = {"a"}}).ok());
  ASSERT_TRUE(models().add_logged_params(id, {{"p", "1"}}).ok());
  ASSERT_TRUE(models().add_logged_params(id, {{"p", "1"}}).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(models().add_logged_params(id, {{"p", "2"}})));
}

TEST_F(ModelsTest, VersionsAreNumberedAndNumbersAreNotGivenAgain) {
  ASSERT_TRUE(models().create_model("net", "what", {}).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(models().create_model("net", "", {}).status()));
  EXPECT_EQ(add_version("net"), 1);
  EXPECT_EQ(add_version("net"), 2);
  ASSERT_TRUE(models().delete_version("net", 2).ok());
  EXPECT_EQ(add_version("net"), 3);
  EXPECT_TRUE(absl::IsNotFound(models().version("net", 2).status()));
  EXPECT_EQ(models().model("net")->latest.size(), 1u);
  EXPECT_EQ(models().model("net")->latest[0].version, 3);
  EXPECT_TRUE(absl::IsNotFound(models().create_version({.model = "x", .source = "s"}).status()));
}

TEST_F(ModelsTest, AliasStandsForAVersionUntilThatGoes) {
  ASSERT_TRUE(models().create_model("net", "", {}).ok());
  add_version("net");
  add_version("net");
  ASSERT_TRUE(models().set_alias("net", "champion", 1).ok());
  ASSERT_TRUE(models().set_alias("net", "champion", 2).ok());
  EXPECT_EQ(models().version_of_alias("net", "champion")->version, 2);
  EXPECT_THAT(models().version("net", 2)->aliases, ElementsAre("champion"));
  EXPECT_TRUE(absl::IsNotFound(models().set_alias("net", "champion", 9)));
  EXPECT_TRUE(absl::IsInvalidArgument(models().set_alias("net", "v1", 1)));
  EXPECT_TRUE(absl::IsInvalidArgument(models().set_alias("net", "latest", 1)));
  ASSERT_TRUE(models().delete_version("net", 2).ok());
  EXPECT_FALSE(models().version_of_alias("net", "champion").ok());
}

TEST_F(ModelsTest, StagesArchiveWhatWasThere) {
  ASSERT_TRUE(models().create_model("net", "", {}).ok());
  add_version("net");
  add_version("net");
  ASSERT_TRUE(models().set_stage("net", 1, "Production", false).ok());
  ASSERT_TRUE(models().set_stage("net", 2, "Production", true).ok());
  EXPECT_EQ(models().version("net", 1)->stage, "Archived");
  EXPECT_TRUE(absl::IsInvalidArgument(models().set_stage("net", 1, "Best", false)));
}

TEST_F(ModelsTest, RegistryIsSearchedAndRenamed) {
  ASSERT_TRUE(models().create_model("a", "", {{"k", "v"}}).ok());
  ASSERT_TRUE(models().create_model("b", "", {}).ok());
  add_version("b", "runs:/r/model");
  const auto by_tag = models().search_models(
      *parse_filter("tags.k = 'v' AND tag.`mlflow.prompt.is_prompt` != 'true'",
                    registered_model_attributes()),
      {});
  ASSERT_EQ(by_tag->size(), 1u);
  const auto versions =
      models().search_versions(*parse_filter("name='b'", model_version_attributes()), {});
  ASSERT_EQ(versions->size(), 1u);
  EXPECT_TRUE(absl::IsAlreadyExists(models().rename_model("a", "b")));
  ASSERT_TRUE(models().rename_model("b", "c").ok());
  EXPECT_EQ(models().version("c", 1)->model, "c");
  ASSERT_TRUE(models().delete_model("c").ok());
  EXPECT_TRUE(absl::IsNotFound(models().model("c").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(models().create_model("a/b", "", {}).status()));
}

}  // namespace
}  // namespace lctl::storage
