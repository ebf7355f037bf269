#include "server/mlflow/api_fixture.h"

namespace lctl::mlflow {
namespace {

using ::testing::HasSubstr;

class ExperimentsApiTest : public ApiTest {};

TEST_F(ExperimentsApiTest, ExperimentIsCreatedAndFound) {
  const json made = post("experiments/create", {{"name", "digits"}});
  ASSERT_TRUE(made.contains("experiment_id")) << made;
  const std::string id = made.at("experiment_id");
  const json found = get("experiments/get?experiment_id=" + id).at("experiment");
  EXPECT_EQ(found.at("name"), "digits");
  EXPECT_EQ(found.at("artifact_location"), "mlflow-artifacts:/" + id);
  EXPECT_EQ(found.at("lifecycle_stage"), "active");
  EXPECT_EQ(
      get("experiments/get-by-name?experiment_name=digits").at("experiment").at("experiment_id"),
      id);
}

TEST_F(ExperimentsApiTest, ErrorsHaveMlflowsCodes) {
  EXPECT_EQ(get("experiments/get?experiment_id=77").at("error_code"), "RESOURCE_DOES_NOT_EXIST");
  EXPECT_EQ(get("experiments/get?experiment_id=77").at("status"), 404);
  EXPECT_EQ(get("experiments/get?experiment_id=x").at("error_code"), "INVALID_PARAMETER_VALUE");
  EXPECT_EQ(post("experiments/create", {{"name", "Default"}}).at("error_code"),
            "RESOURCE_ALREADY_EXISTS");
  EXPECT_THAT(std::string(post("experiments/create", json::object()).at("message")),
              HasSubstr("Missing value for required parameter 'name'"));
  EXPECT_EQ(post("experiments/create", {{"name", "a"}, {"artifact_location", "s3://bucket"}})
                .at("error_code"),
            "INVALID_PARAMETER_VALUE");
  EXPECT_EQ(get("nonsense").at("error_code"), "ENDPOINT_NOT_FOUND");
}

TEST_F(ExperimentsApiTest, SearchHasPages) {
  for (const char* name : {"a1", "a2", "a3", "b"}) post("experiments/create", {{"name", name}});
  json request = {{"filter", "name LIKE 'a%'"}, {"order_by", {"name ASC"}}, {"max_results", 2}};
  const json first = post("experiments/search", request);
  ASSERT_EQ(first.at("experiments").size(), 2u);
  EXPECT_EQ(first.at("experiments")[0].at("name"), "a1");
  request["page_token"] = first.at("next_page_token");
  const json second = post("experiments/search", request);
  ASSERT_EQ(second.at("experiments").size(), 1u);
  EXPECT_FALSE(second.contains("next_page_token"));
}

TEST_F(ExperimentsApiTest, LifeEndsAndGoesOn) {
  const std::string id = post("experiments/create", {{"name", "e"}}).at("experiment_id");
  post("experiments/update", {{"experiment_id", id}, {"new_name", "f"}});
  post("experiments/set-experiment-tag", {{"experiment_id", id}, {"key", "k"}, {"value", "v"}});
  post("experiments/delete", {{"experiment_id", id}});
  json found = get("experiments/get?experiment_id=" + id).at("experiment");
  EXPECT_EQ(found.at("lifecycle_stage"), "deleted");
  EXPECT_EQ(found.at("name"), "f");
  EXPECT_EQ(found.at("tags")[0].at("value"), "v");
  post("experiments/restore", {{"experiment_id", id}});
  found = get("experiments/get?experiment_id=" + id).at("experiment");
  EXPECT_EQ(found.at("lifecycle_stage"), "active");
}

TEST_F(ExperimentsApiTest, PagesOfOtherHostsAreRefused) {
  const auto from = [&](const std::string& origin) {
    return ask("POST", "/api/2.0/mlflow/experiments/create", R"({"name": "x"})",
               {{"host", "127.0.0.1:7071"}, {"origin", origin}})
        .status;
  };
  EXPECT_EQ(from("http://evil.example"), 403);
  EXPECT_EQ(from("null"), 403);
  EXPECT_EQ(from("http://127.0.0.1:7071"), 200);
}

TEST_F(ExperimentsApiTest, ProbesOfClientsAreAnswered) {
  EXPECT_EQ(ask("GET", "/health", "").body, "OK");
  EXPECT_EQ(ask("GET", "/version", "").body, kProtocolVersion);
  EXPECT_EQ(read(ask("GET", "/api/3.0/mlflow/server-info", "")).at("workspaces_enabled"), false);
}

}  // namespace
}  // namespace lctl::mlflow
