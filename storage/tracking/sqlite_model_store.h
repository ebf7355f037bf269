// ModelStore over SQLite.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "storage/sqlite/database.h"
#include "storage/tracking/model_store.h"

namespace lctl::storage {

// Both must outlive it. Thread rule: internally locked.
class SqliteModelStore final : public ModelStore {
 public:
  SqliteModelStore(Database& database, const Clock& clock) : database_(database), clock_(clock) {}

  absl::StatusOr<LoggedModel> create_logged(const LoggedModel& model) override;
  absl::StatusOr<LoggedModel> logged(std::string_view id) const override;
  absl::StatusOr<std::vector<LoggedModel>> search_logged(
      const std::vector<std::int64_t>& experiments, const Filter& where,
      const std::vector<Order>& order) const override;
  absl::StatusOr<LoggedModel> finish_logged(std::string_view id, ModelStatus status) override;
  absl::Status delete_logged(std::string_view id) override;
  absl::StatusOr<LoggedModel> label_logged(std::string_view id, const LabelChange& change) override;
  absl::Status add_logged_params(std::string_view id, const Tags& params) override;

  absl::StatusOr<RegisteredModel> create_model(const std::string& name,
                                               const std::string& description,
                                               const Tags& tags) override;
  absl::StatusOr<RegisteredModel> model(std::string_view name) const override;
  absl::StatusOr<std::vector<RegisteredModel>> search_models(
      const Filter& where, const std::vector<Order>& order) const override;
  absl::Status rename_model(std::string_view name, const std::string& new_name) override;
  absl::Status describe_model(std::string_view name, const std::string& text) override;
  absl::Status delete_model(std::string_view name) override;
  absl::Status tag_model(std::string_view name, const std::string& key,
                         const std::optional<std::string>& value) override;
  absl::Status set_alias(std::string_view name, const std::string& alias,
                         std::optional<std::int64_t> version) override;

  absl::StatusOr<ModelVersion> create_version(const ModelVersion& version) override;
  absl::StatusOr<ModelVersion> version(std::string_view name, std::int64_t version) const override;
  absl::StatusOr<ModelVersion> version_of_alias(std::string_view name,
                                                std::string_view alias) const override;
  absl::StatusOr<std::vector<ModelVersion>> search_versions(
      const Filter& where, const std::vector<Order>& order) const override;
  absl::Status describe_version(std::string_view name, std::int64_t version,
                                const std::string& text) override;
  absl::Status set_stage(std::string_view name, std::int64_t version, const std::string& stage,
                         bool archive_others) override;
  absl::Status delete_version(std::string_view name, std::int64_t version) override;
  absl::Status tag_version(std::string_view name, std::int64_t version, const std::string& key,
                           const std::optional<std::string>& value) override;

 private:
  std::int64_t now_us() const { return unix_micros(clock_.wall_now()); }
  absl::StatusOr<LoggedModel> change_logged(
      std::string_view id, const std::function<absl::Status(LoggedModel&)>& change);
  absl::Status change_model(std::string_view name,
                            const std::function<absl::Status(RegisteredModel&)>& change);
  absl::Status change_version(std::string_view name, std::int64_t version,
                              const std::function<absl::Status(ModelVersion&)>& change);

  Database& database_;
  const Clock& clock_;
};

}  // namespace lctl::storage
