// The endpoints over a store in a folder of its own, asked through the router.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/router.h"
#include "server/mlflow/api.h"
#include "storage/jobs/job_store.h"
#include "storage/testing/store_fixture.h"

namespace lctl::mlflow {

using nlohmann::json;

class ApiTest : public storage::StoreTest {
 protected:
  ApiTest()
      : api_(store(), [this](const JobId& id, const storage::LabelChange& change) {
          return store().jobs().label(id, change);
        }) {
    api_.add_routes(router_);
  }

  http::Response ask(const std::string& method, const std::string& target, const std::string& body,
                     std::map<std::string, std::string> headers = {}) {
    headers.emplace("content-type", "application/json");
    return router_.respond({method, target}, body, std::move(headers));
  }

  // Below /api/2.0/mlflow/; the answer with "status" if that is not 200.
  json post(const std::string& path, const json& body, const std::string& method = "POST") {
    return read(ask(method, "/api/2.0/mlflow/" + path, body.dump()));
  }
  json get(const std::string& path) { return read(ask("GET", "/api/2.0/mlflow/" + path, "")); }

  static json read(const http::Response& response) {
    json answer = json::parse(response.body);
    if (response.status != 200) answer["status"] = response.status;
    return answer;
  }

  // The whole body of a download.
  std::string download(const std::string& path) {
    const http::Response response = ask("GET", "/api/2.0/mlflow-artifacts/artifacts/" + path, "");
    if (!response.stream) return response.body;
    std::string all;
    while (all.size() < response.stream->size) all += *response.stream->next();
    return all;
  }
  json upload(const std::string& path, const std::string& content) {
    return read(ask("PUT", "/api/2.0/mlflow-artifacts/artifacts/" + path, content,
                    {{"content-type", "text/plain"}}));
  }

  std::string start_run(const std::string& name) {
    return post("runs/create", {{"experiment_id", "0"}, {"run_name", name}, {"start_time", 1'000}})
        .at("run")
        .at("info")
        .at("run_id");
  }

  Api api_;
  http::Router router_;
};

}  // namespace lctl::mlflow
