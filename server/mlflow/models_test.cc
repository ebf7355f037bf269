#include "server/mlflow/api_fixture.h"

namespace lctl::mlflow {
namespace {

class ModelsApiTest : public ApiTest {
 protected:
  std::string log_model(const std::string& name) {
    return post("logged-models", {{"experiment_id", "0"},
                                  {"name", name},
                                  {"params", {{{"key", "lr"}, {"value", "0.1"}}}}})
        .at("model")
        .at("info")
        .at("model_id");
  }
};

TEST_F(ModelsApiTest, LoggedModelIsFilledAndFinished) {
  const std::string id = log_model("net");
  const json found = get("logged-models/" + id).at("model");
  EXPECT_EQ(found.at("info").at("status"), "LOGGED_MODEL_PENDING");
  const std::string uri = found.at("info").at("artifact_uri");
  EXPECT_EQ(uri, "mlflow-artifacts:/0/models/" + id + "/artifacts");
  EXPECT_EQ(upload("0/models/" + id + "/artifacts/MLmodel", "yaml"), json::object());
  EXPECT_EQ(get("logged-models/" + id + "/artifacts/directories").at("files").size(), 1u);
  const json done =
      post("logged-models/" + id, {{"model_id", id}, {"status", "LOGGED_MODEL_READY"}}, "PATCH");
  EXPECT_EQ(done.at("model").at("info").at("status"), "LOGGED_MODEL_READY");
}

TEST_F(ModelsApiTest, LoggedModelsAreSearchedTaggedAndDeleted) {
  const std::string id = log_model("net");
  log_model("other");
  post("logged-models/" + id + "/tags", {{"tags", {{{"key", "a"}, {"value", "b"}}}}}, "PATCH");
  const json request = {{"experiment_ids", {"0"}},
                        {"filter", "tags.a = 'b' AND name = 'net'"},
                        {"order_by", {{{"field_name", "creation_timestamp"}}}}};
  EXPECT_EQ(post("logged-models/search", request).at("models").size(), 1u);
  EXPECT_EQ(post("logged-models/" + id + "/tags/a", json::object(), "DELETE"), json::object());
  EXPECT_EQ(post("logged-models/search", request).at("models").size(), 0u);
  post("logged-models/" + id, json::object(), "DELETE");
  EXPECT_EQ(get("logged-models/" + id).at("status"), 404);
  EXPECT_TRUE(get("logged-models/" + id + "?allow_deleted=true").contains("model"));
}

TEST_F(ModelsApiTest, VersionComesFromALoggedModel) {
  const std::string id = log_model("net");
  post("registered-models/create", {{"name", "net"}, {"description", "what"}});
  EXPECT_EQ(post("registered-models/create", {{"name", "net"}}).at("error_code"),
            "RESOURCE_ALREADY_EXISTS");
  const json version = post("model-versions/create", {{"name", "net"}, {"source", "models:/" + id}})
                           .at("model_version");
  EXPECT_EQ(version.at("version"), "1");
  EXPECT_EQ(version.at("model_id"), id);
  EXPECT_EQ(get("model-versions/get-download-uri?name=net&version=1").at("artifact_uri"),
            "mlflow-artifacts:/0/models/" + id + "/artifacts");
  EXPECT_EQ(get("registered-models/get?name=net")
                .at("registered_model")
                .at("latest_versions")[0]
                .at("version"),
            "1");
  EXPECT_EQ(
      post("model-versions/create", {{"name", "net"}, {"source", "/etc/passwd"}}).at("error_code"),
      "INVALID_PARAMETER_VALUE");
}

TEST_F(ModelsApiTest, RegistryKeepsAliasesTagsAndStages) {
  post("registered-models/create", {{"name", "net"}});
  post("model-versions/create", {{"name", "net"}, {"source", "runs:/r/model"}});
  post("registered-models/alias", {{"name", "net"}, {"alias", "best"}, {"version", "1"}});
  EXPECT_EQ(get("registered-models/alias?name=net&alias=best").at("model_version").at("version"),
            "1");
  post("model-versions/set-tag", {{"name", "net"}, {"version", "1"}, {"key", "k"}, {"value", "v"}});
  const json found = get("model-versions/search?filter=name%3D%27net%27").at("model_versions");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].at("tags")[0].at("value"), "v");
  EXPECT_EQ(found[0].at("aliases")[0], "best");
  EXPECT_EQ(post("model-versions/transition-stage",
                 {{"name", "net"}, {"version", "1"}, {"stage", "Production"}})
                .at("model_version")
                .at("current_stage"),
            "Production");
  post("registered-models/alias", {{"name", "net"}, {"alias", "best"}}, "DELETE");
  EXPECT_EQ(get("registered-models/alias?name=net&alias=best").at("status"), 400);
  post("model-versions/delete", {{"name", "net"}, {"version", "1"}}, "DELETE");
  EXPECT_EQ(get("model-versions/get?name=net&version=1").at("status"), 404);
  post("registered-models/delete", {{"name", "net"}}, "DELETE");
  EXPECT_TRUE(get("registered-models/search").at("registered_models").empty());
}

}  // namespace
}  // namespace lctl::mlflow
