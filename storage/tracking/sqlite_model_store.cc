#include "storage/tracking/sqlite_model_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "storage/jobs/texts.h"
#include "storage/search/parameters.h"
#include "storage/tracking/logged_model_rows.h"
#include "storage/tracking/registry_rows.h"
#include "storage/tracking/selecting.h"

namespace lctl::storage {
namespace {

constexpr std::array<std::string_view, 4> kStages = {"None", "Staging", "Production", "Archived"};

absl::Status check_model_name(const std::string& name) {
  LCTL_RETURN_IF_ERROR(check_line("the model's name", name, kMaxModelNameBytes));
  // They are parts of models:/NAME/VERSION.
  if (name.find_first_of("/:") == std::string::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("Invalid model name '{}': it cannot have '/' or ':' in it", shown(name)));
}

absl::StatusOr<Tags> changed(const Tags& tags, const LabelChange& change) {
  LCTL_RETURN_IF_ERROR(check_change(change));
  return apply_change(tags, change);
}

absl::StatusOr<Tags> with_tag(const Tags& tags, const std::string& key,
                              const std::optional<std::string>& value) {
  LabelChange change;
  if (value) {
    change.tags.emplace(key, *value);
  } else if (tags.contains(key)) {
    change.removed_tags.push_back(key);
  }
  return changed(tags, change);
}

absl::Status check_params(const Tags& params) {
  for (const auto& [key, value] : params) {
    LCTL_RETURN_IF_ERROR(check_line("the param's key", key, kMaxParameterKeyBytes));
    LCTL_RETURN_IF_ERROR(check_text("the param's value", value, kMaxParameterTextBytes));
  }
  if (params.size() <= kMaxModelParams) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("a model would have {} params; at most {} are "
                  "allowed",
                  params.size(), kMaxModelParams));
}

const auto kValue = [](const auto& entity, const SearchKey& key) { return value_of(entity, key); };

}  // namespace

// --- logged models ---

absl::StatusOr<LoggedModel> SqliteModelStore::create_logged(const LoggedModel& model) {
  if (!model.name.empty()) LCTL_RETURN_IF_ERROR(check_model_name(model.name));
  LCTL_RETURN_IF_ERROR(check_text("the model's type", model.type, kMaxModelNameBytes));
  LCTL_RETURN_IF_ERROR(check_text("the source run", model.source_run, kMaxModelNameBytes));
  LCTL_RETURN_IF_ERROR(check_params(model.params));
  LCTL_RETURN_IF_ERROR(changed({}, {.tags = model.tags, .removed_tags = {}, .note = {}}).status());
  return database_.write(
      [&](Connection& connection) { return insert_logged_model(connection, model, now_us()); });
}

absl::StatusOr<LoggedModel> SqliteModelStore::logged(std::string_view id) const {
  return database_.read([&](Connection& connection) { return read_logged_model(connection, id); });
}

absl::StatusOr<std::vector<LoggedModel>> SqliteModelStore::search_logged(
    const std::vector<std::int64_t>& experiments, const Filter& where,
    const std::vector<Order>& order) const {
  LCTL_ASSIGN_OR_RETURN(
      std::vector<LoggedModel> all,
      database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<LoggedModel>> {
        std::vector<LoggedModel> models;
        for (const std::int64_t experiment : experiments) {
          for (LoggedModel& model : read_logged_models(connection, experiment)) {
            models.push_back(std::move(model));
          }
        }
        return models;
      }));
  return select_from(std::move(all), where, order, kValue);
}

absl::StatusOr<LoggedModel> SqliteModelStore::change_logged(
    std::string_view id, const std::function<absl::Status(LoggedModel&)>& change) {
  return database_.write([&](Connection& connection) -> absl::StatusOr<LoggedModel> {
    LCTL_ASSIGN_OR_RETURN(LoggedModel model, read_logged_model(connection, id));
    if (model.deleted) {
      return absl::NotFoundError(fmt::format("the logged model '{}' was deleted", shown(id)));
    }
    LCTL_RETURN_IF_ERROR(change(model));
    model.updated_us = now_us();
    update_logged_model(connection, model, model.updated_us);
    return model;
  });
}

absl::StatusOr<LoggedModel> SqliteModelStore::finish_logged(std::string_view id,
                                                            ModelStatus status) {
  return change_logged(id, [&](LoggedModel& model) {
    model.status = status;
    return absl::OkStatus();
  });
}

absl::Status SqliteModelStore::delete_logged(std::string_view id) {
  return change_logged(id,
                       [](LoggedModel& model) {
                         model.deleted = true;
                         return absl::OkStatus();
                       })
      .status();
}

absl::StatusOr<LoggedModel> SqliteModelStore::label_logged(std::string_view id,
                                                           const LabelChange& change) {
  return change_logged(id, [&](LoggedModel& model) -> absl::Status {
    LCTL_ASSIGN_OR_RETURN(model.tags, changed(model.tags, change));
    return absl::OkStatus();
  });
}

absl::Status SqliteModelStore::add_logged_params(std::string_view id, const Tags& params) {
  return change_logged(id,
                       [&](LoggedModel& model) -> absl::Status {
                         for (const auto& [key, value] : params) {
                           const auto [known, is_new] = model.params.emplace(key, value);
                           if (is_new || known->second == value) continue;
                           return absl::InvalidArgumentError(
                               fmt::format("param '{}' of model {} has the value '{}' already",
                                           shown(key), shown(id), shown(known->second)));
                         }
                         return check_params(model.params);
                       })
      .status();
}

// --- the registry: models ---

absl::StatusOr<RegisteredModel> SqliteModelStore::create_model(const std::string& name,
                                                               const std::string& description,
                                                               const Tags& tags) {
  LCTL_RETURN_IF_ERROR(check_model_name(name));
  LCTL_RETURN_IF_ERROR(check_text("the description", description, kMaxModelTextBytes));
  LCTL_ASSIGN_OR_RETURN(const Tags checked,
                        changed({}, {.tags = tags, .removed_tags = {}, .note = {}}));
  return database_.write([&](Connection& connection) -> absl::StatusOr<RegisteredModel> {
    LCTL_RETURN_IF_ERROR(insert_model(connection, name, description, checked, now_us()));
    LCTL_ASSIGN_OR_RETURN(ModelRow row, require_model(connection, name));
    return std::move(row.model);
  });
}

absl::StatusOr<RegisteredModel> SqliteModelStore::model(std::string_view name) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<RegisteredModel> {
    LCTL_ASSIGN_OR_RETURN(ModelRow row, require_model(connection, name));
    row.model.latest = latest_of(read_versions(connection, row));
    return std::move(row.model);
  });
}

absl::StatusOr<std::vector<RegisteredModel>> SqliteModelStore::search_models(
    const Filter& where, const std::vector<Order>& order) const {
  LCTL_ASSIGN_OR_RETURN(
      std::vector<RegisteredModel> all,
      database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<RegisteredModel>> {
        std::vector<RegisteredModel> models;
        for (ModelRow& row : read_models(connection)) {
          row.model.latest = latest_of(read_versions(connection, row));
          models.push_back(std::move(row.model));
        }
        return models;
      }));
  return select_from(std::move(all), where, order, kValue);
}

absl::Status SqliteModelStore::change_model(
    std::string_view name, const std::function<absl::Status(RegisteredModel&)>& change) {
  return database_.write([&](Connection& connection) -> absl::Status {
    LCTL_ASSIGN_OR_RETURN(ModelRow row, require_model(connection, name));
    LCTL_RETURN_IF_ERROR(change(row.model));
    if (row.model.name != name && require_model(connection, row.model.name).ok()) {
      return absl::AlreadyExistsError(
          fmt::format("Registered Model (name={}) already exists.", shown(row.model.name)));
    }
    update_model(connection, row, now_us());
    return absl::OkStatus();
  });
}

absl::Status SqliteModelStore::rename_model(std::string_view name, const std::string& new_name) {
  LCTL_RETURN_IF_ERROR(check_model_name(new_name));
  return change_model(name, [&](RegisteredModel& model) {
    model.name = new_name;
    return absl::OkStatus();
  });
}

absl::Status SqliteModelStore::describe_model(std::string_view name, const std::string& text) {
  LCTL_RETURN_IF_ERROR(check_text("the description", text, kMaxModelTextBytes));
  return change_model(name, [&](RegisteredModel& model) {
    model.description = text;
    return absl::OkStatus();
  });
}

absl::Status SqliteModelStore::delete_model(std::string_view name) {
  return database_.write([&](Connection& connection) -> absl::Status {
    LCTL_ASSIGN_OR_RETURN(const ModelRow row, require_model(connection, name));
    connection.query("DELETE FROM registered_models WHERE number = ?1").bind(row.number).run();
    return absl::OkStatus();
  });
}

absl::Status SqliteModelStore::tag_model(std::string_view name, const std::string& key,
                                         const std::optional<std::string>& value) {
  return change_model(name, [&](RegisteredModel& model) -> absl::Status {
    LCTL_ASSIGN_OR_RETURN(model.tags, with_tag(model.tags, key, value));
    return absl::OkStatus();
  });
}

absl::Status SqliteModelStore::set_alias(std::string_view name, const std::string& alias,
                                         std::optional<std::int64_t> version) {
  LCTL_RETURN_IF_ERROR(check_alias(alias));
  return database_.write([&](Connection& connection) -> absl::Status {
    LCTL_ASSIGN_OR_RETURN(ModelRow row, require_model(connection, name));
    if (version) LCTL_RETURN_IF_ERROR(require_version(connection, row, *version).status());
    std::erase_if(row.model.aliases, [&](const auto& known) { return known.first == alias; });
    if (version) row.model.aliases.emplace_back(alias, *version);
    update_model(connection, row, now_us());
    return absl::OkStatus();
  });
}

// --- the registry: versions ---

absl::StatusOr<ModelVersion> SqliteModelStore::create_version(const ModelVersion& version) {
  LCTL_RETURN_IF_ERROR(check_line("the version's source", version.source, kMaxModelTextBytes));
  LCTL_RETURN_IF_ERROR(check_text("the description", version.description, kMaxModelTextBytes));
  LCTL_RETURN_IF_ERROR(check_text("the run's id", version.run, kMaxModelNameBytes));
  LCTL_RETURN_IF_ERROR(check_text("the logged model's id", version.logged, kMaxModelNameBytes));
  LCTL_RETURN_IF_ERROR(
      changed({}, {.tags = version.tags, .removed_tags = {}, .note = {}}).status());
  return database_.write([&](Connection& connection) -> absl::StatusOr<ModelVersion> {
    LCTL_ASSIGN_OR_RETURN(const ModelRow row, require_model(connection, version.model));
    const std::int64_t number = insert_version(connection, row, version, now_us());
    update_model(connection, row, now_us());
    return require_version(connection, row, number);
  });
}

absl::StatusOr<ModelVersion> SqliteModelStore::version(std::string_view name,
                                                       std::int64_t version) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<ModelVersion> {
    LCTL_ASSIGN_OR_RETURN(const ModelRow row, require_model(connection, name));
    return require_version(connection, row, version);
  });
}

absl::StatusOr<ModelVersion> SqliteModelStore::version_of_alias(std::string_view name,
                                                                std::string_view alias) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<ModelVersion> {
    LCTL_ASSIGN_OR_RETURN(const ModelRow row, require_model(connection, name));
    for (const auto& [known, version] : row.model.aliases) {
      if (known == alias) return require_version(connection, row, version);
    }
    // MLflow's clients expect its code for a bad argument here.
    return absl::InvalidArgumentError(
        fmt::format("Registered model alias {} not found.", shown(alias)));
  });
}

absl::StatusOr<std::vector<ModelVersion>> SqliteModelStore::search_versions(
    const Filter& where, const std::vector<Order>& order) const {
  LCTL_ASSIGN_OR_RETURN(
      std::vector<ModelVersion> all,
      database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<ModelVersion>> {
        std::vector<ModelVersion> versions;
        for (const ModelRow& row : read_models(connection)) {
          for (ModelVersion& version : read_versions(connection, row)) {
            versions.push_back(std::move(version));
          }
        }
        return versions;
      }));
  std::stable_sort(all.begin(), all.end(), [](const ModelVersion& a, const ModelVersion& b) {
    return a.updated_us > b.updated_us;
  });
  return select_from(std::move(all), where, order, kValue);
}

absl::Status SqliteModelStore::change_version(
    std::string_view name, std::int64_t number,
    const std::function<absl::Status(ModelVersion&)>& change) {
  return database_.write([&](Connection& connection) -> absl::Status {
    LCTL_ASSIGN_OR_RETURN(const ModelRow row, require_model(connection, name));
    LCTL_ASSIGN_OR_RETURN(ModelVersion version, require_version(connection, row, number));
    LCTL_RETURN_IF_ERROR(change(version));
    update_version(connection, row, version, now_us());
    return absl::OkStatus();
  });
}

absl::Status SqliteModelStore::describe_version(std::string_view name, std::int64_t number,
                                                const std::string& text) {
  LCTL_RETURN_IF_ERROR(check_text("the description", text, kMaxModelTextBytes));
  return change_version(name, number, [&](ModelVersion& version) {
    version.description = text;
    return absl::OkStatus();
  });
}

absl::Status SqliteModelStore::set_stage(std::string_view name, std::int64_t number,
                                         const std::string& stage, bool archive_others) {
  if (std::find(kStages.begin(), kStages.end(), stage) == kStages.end()) {
    return absl::InvalidArgumentError(
        fmt::format("Invalid Model Version stage: {}. Value must be one of {}.", shown(stage),
                    fmt::join(kStages, ", ")));
  }
  return database_.write([&](Connection& connection) -> absl::Status {
    LCTL_ASSIGN_OR_RETURN(const ModelRow row, require_model(connection, name));
    LCTL_ASSIGN_OR_RETURN(ModelVersion version, require_version(connection, row, number));
    if (archive_others) {
      for (ModelVersion& other : read_versions(connection, row)) {
        if (other.stage != stage || other.version == number) continue;
        other.stage = "Archived";
        update_version(connection, row, other, now_us());
      }
    }
    version.stage = stage;
    update_version(connection, row, version, now_us());
    return absl::OkStatus();
  });
}

absl::Status SqliteModelStore::delete_version(std::string_view name, std::int64_t number) {
  return database_.write([&](Connection& connection) -> absl::Status {
    LCTL_ASSIGN_OR_RETURN(ModelRow row, require_model(connection, name));
    LCTL_RETURN_IF_ERROR(require_version(connection, row, number).status());
    connection.query("UPDATE model_versions SET deleted_us = ?3 WHERE model = ?1 AND version = ?2")
        .bind(row.number, number, now_us())
        .run();
    std::erase_if(row.model.aliases, [&](const auto& known) { return known.second == number; });
    update_model(connection, row, now_us());
    return absl::OkStatus();
  });
}

absl::Status SqliteModelStore::tag_version(std::string_view name, std::int64_t number,
                                           const std::string& key,
                                           const std::optional<std::string>& value) {
  return change_version(name, number, [&](ModelVersion& version) -> absl::Status {
    LCTL_ASSIGN_OR_RETURN(version.tags, with_tag(version.tags, key, value));
    return absl::OkStatus();
  });
}

}  // namespace lctl::storage
