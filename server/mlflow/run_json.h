// Runs and experiments as MLflow's clients read them.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/status.h"
#include "proto/lctl/v1/job.pb.h"
#include "storage/tracking/tracking_store.h"

namespace lctl::mlflow {

inline constexpr std::string_view kArtifactScheme = "mlflow-artifacts:/";

nlohmann::json json_of(const storage::Experiment& experiment);
nlohmann::json json_of(const storage::Run& run);
nlohmann::json info_of(const storage::Run& run);
nlohmann::json json_of_metric(const std::string& key, double value, std::int64_t time_us,
                              std::int64_t step);

// [{"key", "value"}, …]
nlohmann::json json_of(const storage::Tags& tags);

// NaN and infinities are texts, as in protobuf's JSON.
nlohmann::json json_of_number(double value);

// "3/abcdefghij/artifacts"; with kArtifactScheme before it the run's artifact_uri.
std::string artifact_folder(const storage::Run& run);

// RUNNING, SCHEDULED, FINISHED, FAILED or KILLED.
std::string_view status_of(v1::JobState state);
// InvalidArgument, naming them, for another word.
absl::StatusOr<v1::JobState> state_of(std::string_view status);

// InvalidArgument for what is no number.
absl::StatusOr<std::int64_t> experiment_id_of(std::string_view text);

// Milliseconds to microseconds; InvalidArgument, naming the field, before 1970 or after 9999.
absl::StatusOr<std::int64_t> micros_of(std::string_view name, std::int64_t millis);

}  // namespace lctl::mlflow
