#include "server/mlflow/logged_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "server/mlflow/run_json.h"
#include "storage/jobs/texts.h"
#include "storage/search/known_tags.h"

namespace lctl::mlflow {
namespace {

constexpr std::size_t kMaxKeyBytes = 250;  // MLflow's
constexpr std::size_t kMaxDatasetTags = 100;

// MLflow takes letters of all alphabets.
bool is_name_character(char c) {
  return static_cast<unsigned char>(c) >= 128 || std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("_-. :/").find(c) != std::string_view::npos;
}

// As MLflow, which may keep a key as a file's path.
bool is_plain_path(std::string_view key) {
  if (key.starts_with('/') || key.ends_with('/')) return false;
  for (std::size_t begin = 0; begin <= key.size();) {
    const std::size_t end = std::min(key.find('/', begin), key.size());
    const std::string_view part = key.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace

absl::Status check_name(std::string_view what, std::string_view key) {
  if (key.size() > kMaxKeyBytes) {
    return absl::InvalidArgumentError(fmt::format("{} '{}' has {} bytes; at most {} are allowed",
                                                  what, storage::shown(key), key.size(),
                                                  kMaxKeyBytes));
  }
  if (std::all_of(key.begin(), key.end(), is_name_character) && is_plain_path(key)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(fmt::format(
      "Invalid {} '{}': names may only contain alphanumerics, underscores (_), dashes (-), periods "
      "(.), spaces ( ), colon (:) and slashes (/) between parts",
      what, storage::shown(key)));
}

absl::StatusOr<storage::LoggedPoint> point_in(const Fields& metric) {
  storage::LoggedPoint point;
  LCTL_ASSIGN_OR_RETURN(point.key, metric.text("key"));
  LCTL_RETURN_IF_ERROR(check_name("metric name", point.key));
  LCTL_ASSIGN_OR_RETURN(point.value, metric.number("value"));
  LCTL_ASSIGN_OR_RETURN(const std::int64_t millis, metric.integer("timestamp"));
  LCTL_ASSIGN_OR_RETURN(point.time_us, micros_of("timestamp", millis));
  LCTL_ASSIGN_OR_RETURN(point.step, metric.integer_or("step", 0));
  return point;
}

absl::StatusOr<storage::Dataset> dataset_in(const Fields& input) {
  storage::Dataset dataset;
  LCTL_ASSIGN_OR_RETURN(const auto tags, input.pairs("tags", kMaxDatasetTags));
  dataset.tags = {tags.begin(), tags.end()};
  LCTL_ASSIGN_OR_RETURN(const Fields fields, input.object("dataset"));
  LCTL_ASSIGN_OR_RETURN(dataset.name, fields.text("name"));
  LCTL_ASSIGN_OR_RETURN(dataset.digest, fields.text("digest"));
  LCTL_ASSIGN_OR_RETURN(dataset.source_type, fields.text_or_empty("source_type"));
  LCTL_ASSIGN_OR_RETURN(dataset.source, fields.text_or_empty("source"));
  LCTL_ASSIGN_OR_RETURN(dataset.schema, fields.text_or_empty("schema"));
  LCTL_ASSIGN_OR_RETURN(dataset.profile, fields.text_or_empty("profile"));
  return dataset;
}

void add_tag(storage::RunBatch& batch, std::string key, std::string value) {
  if (key == storage::kNameTag) {
    batch.name = std::move(value);
  } else if (key == storage::kNoteTag) {
    batch.labels.note = std::move(value);
  } else {
    batch.labels.tags.insert_or_assign(std::move(key), std::move(value));
  }
}

}  // namespace lctl::mlflow
