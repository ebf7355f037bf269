#include "storage/tracking/registry_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>

#include "storage/jobs/texts.h"
#include "storage/tracking/selecting.h"
#include "storage/tracking/text_map.h"

namespace lctl::storage {
namespace {

constexpr std::int64_t kMicrosOfMilli = 1'000;
constexpr std::size_t kMaxAliasBytes = 255;

// From a row of (number, name, description, created_us, updated_us, tags, aliases).
ModelRow model_of(const Query& query) {
  ModelRow row{.number = query.integer(0),
               .model = {.name = std::string(query.text(1)),
                         .description = std::string(query.text(2)),
                         .created_us = query.integer(3),
                         .updated_us = query.integer(4),
                         .tags = unpack_map(query.text(5))}};
  for (const auto& [alias, text] : unpack_map(query.text(6))) {
    std::int64_t version = 0;
    std::from_chars(text.data(), text.data() + text.size(), version);
    row.model.aliases.emplace_back(alias, version);
  }
  return row;
}

// From a row of (version, source, run, logged, stage, description, created_us, updated_us, tags).
ModelVersion version_of(const Query& query, const ModelRow& model) {
  ModelVersion version{.model = model.model.name,
                       .version = query.integer(0),
                       .source = std::string(query.text(1)),
                       .run = std::string(query.text(2)),
                       .logged = std::string(query.text(3)),
                       .stage = std::string(query.text(4)),
                       .description = std::string(query.text(5)),
                       .created_us = query.integer(6),
                       .updated_us = query.integer(7),
                       .tags = unpack_map(query.text(8))};
  for (const auto& [alias, number] : model.model.aliases) {
    if (number == version.version) version.aliases.push_back(alias);
  }
  return version;
}

// MLflow keeps prompts in the registry too and marks them by this tag; its clients ask for models
// by
// `!= 'true'`, which those without the tag are to fit.
constexpr std::string_view kPromptTag = "mlflow.prompt.is_prompt";

FoundValue tag_of(const Tags& tags, const std::string& key) {
  if (key == kPromptTag && !tags.contains(key)) return found_text("false");
  return found_in(tags, key);
}

bool is_alias_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::vector<std::string_view> registered_model_attributes() {
  return {"name", "creation_timestamp", "last_updated_timestamp"};
}

std::vector<std::string_view> model_version_attributes() {
  return {"name",        "version_number", "run_id",
          "source_path", "current_stage",  "creation_timestamp",
          "source",      "model_id",       "last_updated_timestamp"};
}

FoundValue value_of(const RegisteredModel& model, const SearchKey& key) {
  if (key.kind == SearchKey::Kind::kTag) return tag_of(model.tags, key.name);
  if (key.name == "name") return found_text(model.name);
  if (key.name == "creation_timestamp") return found_number(model.created_us / kMicrosOfMilli);
  if (key.name == "last_updated_timestamp") return found_number(model.updated_us / kMicrosOfMilli);
  return {};
}

FoundValue value_of(const ModelVersion& version, const SearchKey& key) {
  if (key.kind == SearchKey::Kind::kTag) return tag_of(version.tags, key.name);
  if (key.name == "name") return found_text(version.model);
  if (key.name == "version_number") return found_number(version.version);
  if (key.name == "run_id") return found_text(version.run);
  if (key.name == "source_path" || key.name == "source") return found_text(version.source);
  if (key.name == "model_id") return found_text(version.logged);
  if (key.name == "current_stage") return found_text(version.stage);
  if (key.name == "creation_timestamp") return found_number(version.created_us / kMicrosOfMilli);
  if (key.name == "last_updated_timestamp") {
    return found_number(version.updated_us / kMicrosOfMilli);
  }
  return {};
}

absl::Status check_alias(std::string_view alias) {
  const bool plain = !alias.empty() && alias.size() <= kMaxAliasBytes &&
                     std::all_of(alias.begin(), alias.end(), is_alias_character);
  const bool like_version = alias.size() > 1 && (alias[0] == 'v' || alias[0] == 'V') &&
                            std::all_of(alias.begin() + 1, alias.end(), is_digit);
  std::string lower(alias);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (plain && !like_version && lower != "latest") return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("'{}' cannot be an alias: expected letters, digits, _ and -; not `latest`, nor a "
                  "version such as v1",
                  shown(alias)));
}

absl::StatusOr<ModelRow> require_model(Connection& connection, std::string_view name) {
  Query query = connection.query(
      "SELECT number, name, description, created_us, updated_us, tags, aliases"
      " FROM registered_models WHERE name = ?1");
  query.bind(name);
  if (query.step()) return model_of(query);
  return absl::NotFoundError(fmt::format("Registered Model with name={} not found", shown(name)));
}

std::vector<ModelRow> read_models(Connection& connection) {
  Query query = connection.query(
      "SELECT number, name, description, created_us, updated_us, tags, aliases"
      " FROM registered_models ORDER BY name");
  std::vector<ModelRow> rows;
  while (query.step()) rows.push_back(model_of(query));
  return rows;
}

absl::Status insert_model(Connection& connection, const std::string& name,
                          const std::string& description, const Tags& tags, std::int64_t now_us) {
  if (require_model(connection, name).ok()) {
    return absl::AlreadyExistsError(
        fmt::format("Registered Model (name={}) already exists.", shown(name)));
  }
  connection
      .query(
          "INSERT INTO registered_models (name, description, created_us, updated_us, tags, aliases)"
          " VALUES (?1, ?2, ?3, ?3, ?4, '{}')")
      .bind(name, description, now_us, pack_map(tags))
      .run();
  return absl::OkStatus();
}

void update_model(Connection& connection, const ModelRow& row, std::int64_t now_us) {
  Tags aliases;
  for (const auto& [alias, version] : row.model.aliases) {
    aliases.emplace(alias, std::to_string(version));
  }
  connection
      .query(
          "UPDATE registered_models SET name = ?2, description = ?3, tags = ?4, aliases = ?5,"
          " updated_us = ?6 WHERE number = ?1")
      .bind(row.number, row.model.name, row.model.description, pack_map(row.model.tags),
            pack_map(aliases), now_us)
      .run();
}

absl::StatusOr<ModelVersion> require_version(Connection& connection, const ModelRow& model,
                                             std::int64_t version) {
  Query query = connection.query(
      "SELECT version, source, run, logged, stage, description, created_us, updated_us, tags"
      " FROM model_versions WHERE model = ?1 AND version = ?2 AND deleted_us = 0");
  query.bind(model.number, version);
  if (query.step()) return version_of(query, model);
  return absl::NotFoundError(fmt::format("Model Version (name={}, version={}) not found",
                                         shown(model.model.name), version));
}

std::vector<ModelVersion> read_versions(Connection& connection, const ModelRow& model) {
  Query query = connection.query(
      "SELECT version, source, run, logged, stage, description, created_us, updated_us, tags"
      " FROM model_versions WHERE model = ?1 AND deleted_us = 0 ORDER BY version DESC");
  query.bind(model.number);
  std::vector<ModelVersion> versions;
  while (query.step()) versions.push_back(version_of(query, model));
  return versions;
}

std::int64_t insert_version(Connection& connection, const ModelRow& model,
                            const ModelVersion& version, std::int64_t now_us) {
  Query query = connection.query(
      "INSERT INTO model_versions (model, version, source, run, logged, stage, description,"
      " created_us, updated_us, deleted_us, tags)"
      " VALUES (?1, 1 + coalesce((SELECT max(version) FROM model_versions WHERE model = ?1), 0),"
      " ?2, ?3, ?4, 'None', ?5, ?6, ?6, 0, ?7) RETURNING version");
  query.bind(model.number, version.source, version.run, version.logged, version.description, now_us,
             pack_map(version.tags));
  query.step();
  const std::int64_t number = query.integer(0);
  query.run();
  return number;
}

void update_version(Connection& connection, const ModelRow& model, const ModelVersion& version,
                    std::int64_t now_us) {
  connection
      .query(
          "UPDATE model_versions SET stage = ?3, description = ?4, tags = ?5, updated_us = ?6"
          " WHERE model = ?1 AND version = ?2")
      .bind(model.number, version.version, version.stage, version.description,
            pack_map(version.tags), now_us)
      .run();
}

std::vector<ModelVersion> latest_of(const std::vector<ModelVersion>& versions) {
  std::vector<ModelVersion> latest;
  std::set<std::string> stages;
  for (const ModelVersion& version : versions) {
    if (stages.insert(version.stage).second) latest.push_back(version);
  }
  return latest;
}

}  // namespace lctl::storage
