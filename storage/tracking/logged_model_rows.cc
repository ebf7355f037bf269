#include "storage/tracking/logged_model_rows.h"

#include <fmt/format.h>

#include "base/id.h"
#include "storage/jobs/texts.h"
#include "storage/search/parameters.h"
#include "storage/tracking/experiment_rows.h"
#include "storage/tracking/selecting.h"
#include "storage/tracking/text_map.h"

namespace lctl::storage {
namespace {

constexpr int kIdLength = 26;  // 130 bits
constexpr std::int64_t kMicrosOfMilli = 1'000;

// From a row in the order of the queries below.
LoggedModel model_of(const Query& query) {
  return {.id = std::string(query.text(0)),
          .experiment = query.integer(1),
          .name = std::string(query.text(2)),
          .source_run = std::string(query.text(3)),
          .type = std::string(query.text(4)),
          .status = query.enumeration<ModelStatus>(5),
          .created_us = query.integer(6),
          .updated_us = query.integer(7),
          .deleted = query.integer(8) > 0,
          .params = unpack_map(query.text(9)),
          .tags = unpack_map(query.text(10))};
}

}  // namespace

std::vector<std::string_view> logged_model_attributes() {
  return {"name",          "model_id",           "model_type",
          "status",        "source_run_id",      "experiment_id",
          "creation_time", "creation_timestamp", "last_updated_timestamp"};
}

std::string_view name_of(ModelStatus status) {
  switch (status) {
    case ModelStatus::kPending:
      return "PENDING";
    case ModelStatus::kReady:
      return "READY";
    case ModelStatus::kFailed:
      return "UPLOAD_FAILED";
  }
  return "";
}

FoundValue value_of(const LoggedModel& model, const SearchKey& key) {
  if (key.kind == SearchKey::Kind::kTag) return found_in(model.tags, key.name);
  if (key.kind == SearchKey::Kind::kParameter) {
    const auto found = model.params.find(key.name);
    if (found == model.params.end()) return {};
    const Parameter parameter = plain_parameter(key.name, found->second);
    return {.text = parameter.text, .number = parameter.number};
  }
  if (key.name == "name") return found_text(model.name);
  if (key.name == "model_id") return found_text(model.id);
  if (key.name == "model_type") return found_text(model.type);
  if (key.name == "status") return found_text(std::string(name_of(model.status)));
  if (key.name == "source_run_id") return found_text(model.source_run);
  if (key.name == "experiment_id") return found_text(std::to_string(model.experiment));
  if (key.name == "creation_time" || key.name == "creation_timestamp") {
    return found_number(model.created_us / kMicrosOfMilli);
  }
  if (key.name == "last_updated_timestamp") return found_number(model.updated_us / kMicrosOfMilli);
  return {};
}

absl::StatusOr<LoggedModel> insert_logged_model(Connection& connection, const LoggedModel& wanted,
                                                std::int64_t now_us) {
  LCTL_ASSIGN_OR_RETURN(const Experiment experiment,
                        read_experiment(connection, wanted.experiment));
  if (experiment.deleted) {
    return absl::FailedPreconditionError(
        fmt::format("experiment {} was deleted; restore it, or log into another", experiment.id));
  }
  LoggedModel model = wanted;
  model.id = "m-" + random_id(kIdLength);
  if (model.name.empty()) model.name = "model-" + random_id(6);
  model.status = ModelStatus::kPending;
  model.created_us = model.updated_us = now_us;
  connection
      .query(
          "INSERT INTO logged_models (id, experiment, name, source_run, model_type, status,"
          " created_us, updated_us, deleted_us, params, tags)"
          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, 0, ?8, ?9)")
      .bind(model.id, model.experiment, model.name, model.source_run, model.type, model.status,
            now_us, pack_map(model.params), pack_map(model.tags))
      .run();
  return model;
}

absl::StatusOr<LoggedModel> read_logged_model(Connection& connection, std::string_view id) {
  Query query = connection.query(
      "SELECT id, experiment, name, source_run, model_type, status, created_us, updated_us,"
      " deleted_us, params, tags FROM logged_models WHERE id = ?1");
  query.bind(id);
  if (query.step()) return model_of(query);
  return absl::NotFoundError(fmt::format("there is no logged model '{}'", shown(id)));
}

std::vector<LoggedModel> read_logged_models(Connection& connection, std::int64_t experiment) {
  Query query = connection.query(
      "SELECT id, experiment, name, source_run, model_type, status, created_us, updated_us,"
      " deleted_us, params, tags FROM logged_models WHERE experiment = ?1 AND deleted_us = 0"
      " ORDER BY number DESC");
  query.bind(experiment);
  std::vector<LoggedModel> models;
  while (query.step()) models.push_back(model_of(query));
  return models;
}

void update_logged_model(Connection& connection, const LoggedModel& model, std::int64_t now_us) {
  connection
      .query(
          "UPDATE logged_models SET status = ?2, deleted_us = ?3, params = ?4, tags = ?5,"
          " updated_us = ?6 WHERE id = ?1")
      .bind(model.id, model.status, model.deleted ? now_us : 0, pack_map(model.params),
            pack_map(model.tags), now_us)
      .run();
}

}  // namespace lctl::storage
