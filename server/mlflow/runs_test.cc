#include "server/mlflow/api_fixture.h"

namespace lctl::mlflow {
namespace {

using ::testing::HasSubstr;

class RunsApiTest : public ApiTest {
 protected:
  json run(const std::string& id) { return get("runs/get?run_id=" + id).at("run"); }

  static json metric(const std::string& key, const json& value, int step) {
    return {{"key", key}, {"value", value}, {"timestamp", 1'000 + step}, {"step", step}};
  }
  static std::string tag(const json& run, const std::string& key) {
    for (const json& one : run.at("data").at("tags")) {
      if (one.at("key") == key) return one.at("value");
    }
    return "(none)";
  }
};

TEST_F(RunsApiTest, RunIsStartedAndEnded) {
  const json made =
      post("runs/create", {{"experiment_id", "0"},
                           {"user_id", "anna"},
                           {"start_time", 5'000},
                           {"tags", {{{"key", "mlflow.runName"}, {"value", "first"}}}}})
          .at("run");
  const json info = made.at("info");
  const std::string id = info.at("run_id");
  EXPECT_EQ(info.at("run_name"), "first");
  EXPECT_EQ(info.at("status"), "RUNNING");
  EXPECT_EQ(info.at("start_time"), 5'000);
  EXPECT_EQ(info.at("artifact_uri"), "mlflow-artifacts:/0/" + id + "/artifacts");
  EXPECT_EQ(tag(made, "mlflow.user"), "anna");
  const json ended =
      post("runs/update", {{"run_id", id}, {"status", "FINISHED"}, {"end_time", 9'000}});
  EXPECT_EQ(ended.at("run_info").at("status"), "FINISHED");
  EXPECT_EQ(ended.at("run_info").at("end_time"), 9'000);
  EXPECT_EQ(post("runs/update", {{"run_id", id}, {"status", "DONE"}}).at("status"), 400);
}

TEST_F(RunsApiTest, BatchIsLoggedAndRead) {
  const std::string id = start_run("r");
  const json logged =
      post("runs/log-batch", {{"run_id", id},
                              {"metrics", {metric("loss", 0.5, 1), metric("loss", "NaN", 2)}},
                              {"params", {{{"key", "lr"}, {"value", "0.1"}}}},
                              {"tags", {{{"key", "mlflow.note.content"}, {"value", "why"}}}}});
  EXPECT_EQ(logged, json::object());
  const json found = run(id);
  EXPECT_EQ(found.at("data").at("metrics")[0].at("value"), "NaN");
  EXPECT_EQ(found.at("data").at("metrics")[0].at("step"), 2);
  EXPECT_EQ(found.at("data").at("params")[0].at("value"), "0.1");
  EXPECT_EQ(tag(found, "mlflow.note.content"), "why");
  EXPECT_EQ(store().jobs().get(JobId(id))->note(), "why");
  const json history = get("metrics/get-history?metric_key=loss&run_id=" + id).at("metrics");
  ASSERT_EQ(history.size(), 2u);
  EXPECT_EQ(history[0].at("timestamp"), 1'001);
}

TEST_F(RunsApiTest, HistoryHasPages) {
  const std::string id = start_run("r");
  json metrics = json::array();
  for (int i = 0; i < 10; ++i) metrics.push_back(metric("m", i, i));
  post("runs/log-batch", {{"run_id", id}, {"metrics", metrics}});
  const std::string path = "metrics/get-history?metric_key=m&max_results=4&run_id=" + id;
  json page = get(path);
  std::size_t count = page.at("metrics").size();
  while (page.contains("next_page_token")) {
    page = get(path + "&page_token=" + std::string(page.at("next_page_token")));
    count += page.at("metrics").size();
  }
  EXPECT_EQ(count, 10u);
  EXPECT_TRUE(get("metrics/get-history?metric_key=none&run_id=" + id).at("metrics").empty());
  EXPECT_EQ(get("metrics/get-history?metric_key=m&run_id=none").at("status"), 404);
  EXPECT_EQ(get("metrics/get-history-bulk-interval?metric_key=m&max_results=4&run_ids=" + id)
                .at("metrics")[0]
                .at("run_id"),
            id);
}

TEST_F(RunsApiTest, LimitsAreMlflows) {
  const std::string id = start_run("r");
  const json many(1'001, metric("m", 1, 1));
  EXPECT_THAT(
      std::string(post("runs/log-batch", {{"run_id", id}, {"metrics", many}}).at("message")),
      HasSubstr("at most 1000 metrics. Got 1001"));
  for (const char* key : {"a\"b", "../a", "/a", "a//b", ""}) {
    EXPECT_EQ(
        post("runs/log-metric", {{"run_id", id}, {"key", key}, {"value", 1}, {"timestamp", 1}})
            .at("error_code"),
        "INVALID_PARAMETER_VALUE")
        << key;
  }
  EXPECT_EQ(
      post("runs/log-metric", {{"run_id", id}, {"key", "k"}, {"value", "x"}, {"timestamp", 1}})
          .at("status"),
      400);
  EXPECT_EQ(post("runs/log-metric",
                 {{"run_id", id}, {"key", "val/a b:c-1"}, {"value", 1}, {"timestamp", 1}}),
            json::object());
}

TEST_F(RunsApiTest, ParamIsNotChanged) {
  const std::string id = start_run("r");
  const auto param = [&](const char* value) {
    return post("runs/log-parameter", {{"run_id", id}, {"key", "lr"}, {"value", value}});
  };
  EXPECT_EQ(param("0.1"), json::object());
  EXPECT_EQ(param("0.1"), json::object());
  EXPECT_EQ(param("0.2").at("error_code"), "INVALID_PARAMETER_VALUE");
}

TEST_F(RunsApiTest, SearchFiltersOrdersAndPages) {
  for (int i = 0; i < 5; ++i) {
    const std::string id = start_run("run-" + std::to_string(i));
    post("runs/log-metric",
         {{"run_id", id}, {"key", "acc"}, {"value", 0.1 * i}, {"timestamp", 1}, {"step", 1}});
  }
  json request = {{"experiment_ids", {"0"}},
                  {"filter", "metrics.acc > 0.05"},
                  {"order_by", {"metrics.acc DESC"}},
                  {"max_results", 3}};
  const json first = post("runs/search", request);
  ASSERT_EQ(first.at("runs").size(), 3u);
  EXPECT_EQ(first.at("runs")[0].at("info").at("run_name"), "run-4");
  request["page_token"] = first.at("next_page_token");
  const json second = post("runs/search", request);
  ASSERT_EQ(second.at("runs").size(), 1u);
  EXPECT_EQ(second.at("runs")[0].at("info").at("run_name"), "run-1");
  request["filter"] = "metrics.acc >";
  EXPECT_THAT(std::string(post("runs/search", request).at("message")), HasSubstr("Invalid filter"));
}

TEST_F(RunsApiTest, TagsComeAndGo) {
  const std::string id = start_run("r");
  post("runs/set-tag", {{"run_id", id}, {"key", "team"}, {"value", "vision"}});
  post("runs/set-tag", {{"run_id", id}, {"key", "mlflow.runName"}, {"value", "renamed"}});
  EXPECT_EQ(tag(run(id), "team"), "vision");
  EXPECT_EQ(run(id).at("info").at("run_name"), "renamed");
  post("runs/delete-tag", {{"run_id", id}, {"key", "team"}});
  EXPECT_EQ(tag(run(id), "team"), "(none)");
  EXPECT_EQ(post("runs/delete-tag", {{"run_id", id}, {"key", "team"}}).at("status"), 404);
}

TEST_F(RunsApiTest, DeletedRunIsRestored) {
  const std::string id = start_run("r");
  post("runs/delete", {{"run_id", id}});
  EXPECT_EQ(run(id).at("info").at("lifecycle_stage"), "deleted");
  const json request = {{"experiment_ids", {"0"}}, {"run_view_type", "DELETED_ONLY"}};
  EXPECT_EQ(post("runs/search", request).at("runs").size(), 1u);
  post("runs/restore", {{"run_id", id}});
  EXPECT_EQ(post("runs/search", request).at("runs").size(), 0u);
}

TEST_F(RunsApiTest, SubmittedJobIsReadAndTagged) {
  const JobId id = add_job(store());
  storage::start_attempt(store(), id, 1);
  storage::log_steps(store(), {id, 1}, 0, 5);
  const json found = run(id.str());
  EXPECT_EQ(found.at("info").at("status"), "RUNNING");
  EXPECT_EQ(found.at("data").at("metrics")[0].at("key"), "train/loss");
  post("runs/set-tag", {{"run_id", id.str()}, {"key", "team"}, {"value", "vision"}});
  EXPECT_EQ(store().jobs().get(id)->tags().at("team"), "vision");
  const json refused =
      post("runs/log-metric", {{"run_id", id.str()}, {"key", "x"}, {"value", 1}, {"timestamp", 1}});
  EXPECT_EQ(refused.at("error_code"), "INVALID_STATE");
  EXPECT_THAT(std::string(refused.at("message")), HasSubstr("a job submitted to lctl"));
}

TEST_F(RunsApiTest, InputsAndModelsAreKept) {
  const std::string id = start_run("r");
  post("runs/log-inputs",
       {{"run_id", id},
        {"datasets",
         {{{"tags", {{{"key", "mlflow.data.context"}, {"value", "train"}}}},
           {"dataset",
            {{"name", "mnist"}, {"digest", "d1"}, {"source_type", "local"}, {"source", "{}"}}}}}}});
  post("runs/outputs", {{"run_id", id}, {"models", {{{"model_id", "m-1"}, {"step", 3}}}}});
  const json found = run(id);
  EXPECT_EQ(found.at("inputs").at("dataset_inputs")[0].at("dataset").at("name"), "mnist");
  EXPECT_EQ(found.at("outputs").at("model_outputs")[0].at("model_id"), "m-1");
  post("runs/log-model", {{"run_id", id}, {"model_json", R"({"artifact_path": "model"})"}});
  EXPECT_EQ(tag(run(id), "mlflow.log-model.history"), R"([{"artifact_path":"model"}])");
}

}  // namespace
}  // namespace lctl::mlflow
