#include "server/ingest/event_parsing.h"

#include <fmt/format.h>

#include <string>

namespace lctl::ingest {
namespace {

constexpr std::size_t kMaxKeyBytes = 512;
constexpr std::size_t kMaxNameBytes = 4'096;
constexpr std::size_t kMaxWordBytes = 256;  // versions, devices, stages
constexpr std::size_t kMaxEnvironmentBytes = 16 << 10;
constexpr std::size_t kMaxYamlBytes = 1 << 20;
constexpr std::size_t kMaxMessageBytes = 4'096;
constexpr std::size_t kMaxProgressMetrics = 1'000;
constexpr int kMaxWorkerChanges = 100;

template <typename... Parts>
absl::Status invalid(fmt::format_string<Parts...> form, Parts&&... parts) {
  return absl::InvalidArgumentError(fmt::format(form, std::forward<Parts>(parts)...));
}

absl::Status check_key(const std::string& key) {
  if (key.empty() || key.size() > kMaxKeyBytes) {
    return invalid("a metric's key has {} bytes; 1 to {} are allowed", key.size(), kMaxKeyBytes);
  }
  for (const char character : key) {
    if (static_cast<unsigned char>(character) < 0x20) {
      return invalid("a metric's key contains the control character {:#04x}",
                     static_cast<int>(character));
    }
  }
  return absl::OkStatus();
}

absl::Status check(const v1::MetricPoints& points) {
  if (points.keys_size() != points.values_size()) {
    return invalid("metrics with {} keys and {} values", points.keys_size(), points.values_size());
  }
  if (points.step() < 0 || points.epoch() < 0) {
    return invalid("metrics of step {} in epoch {}; neither can be negative", points.step(),
                   points.epoch());
  }
  for (const std::string& key : points.keys()) LCTL_RETURN_IF_ERROR(check_key(key));
  return absl::OkStatus();
}

absl::Status check(const v1::Progress& progress) {
  if (progress.stage().size() > kMaxWordBytes) {
    return invalid("progress with a stage of {} bytes", progress.stage().size());
  }
  if (progress.metrics().size() > kMaxProgressMetrics) {
    return invalid("progress with {} metrics; at most {} are allowed", progress.metrics().size(),
                   kMaxProgressMetrics);
  }
  for (const auto& [key, value] : progress.metrics()) LCTL_RETURN_IF_ERROR(check_key(key));
  const v1::DataLoading& loading = progress.data_loading();
  if (loading.changes_size() > kMaxWorkerChanges) {
    return invalid("progress with {} changes of loader workers; at most {} are allowed",
                   loading.changes_size(), kMaxWorkerChanges);
  }
  for (const v1::WorkerChange& change : loading.changes()) {
    if (change.reason().size() > kMaxWordBytes)
      return invalid("a change of loader workers with a reason of {} bytes",
                     change.reason().size());
  }
  return absl::OkStatus();
}

absl::Status check(const v1::RankReady& ready) {
  if (ready.trainer_version().size() > kMaxWordBytes || ready.device().size() > kMaxWordBytes) {
    return invalid("a trainer version of {} and a device of {} bytes; at most {} are allowed",
                   ready.trainer_version().size(), ready.device().size(), kMaxWordBytes);
  }
  if (ready.environment().ByteSizeLong() > kMaxEnvironmentBytes)
    return invalid("an environment of {} bytes; at most {} are allowed",
                   ready.environment().ByteSizeLong(), kMaxEnvironmentBytes);
  return absl::OkStatus();
}

// At most `limit` bytes, never a part of a UTF-8 character.
void cut(std::string& text, std::size_t limit) {
  if (text.size() <= limit) return;
  std::size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
}

void tidy(v1::Finished& finished) {
  cut(*finished.mutable_message(), kMaxMessageBytes);
  const std::string& hash = finished.parameters_sha256();
  if (hash.size() != 64 || hash.find_first_not_of("0123456789abcdef") != std::string::npos) {
    finished.clear_parameters_sha256();
  }
}

absl::Status check_kind(v1::Event& event) {
  switch (event.kind_case()) {
    case v1::Event::kReady:
      return check(event.ready());
    case v1::Event::kMetrics:
      return check(event.metrics());
    case v1::Event::kProgress:
      return check(event.progress());
    case v1::Event::kHyperparameters:
      if (event.hyperparameters().yaml().size() <= kMaxYamlBytes) return absl::OkStatus();
      return invalid("hyperparameters of {} bytes; at most {} are allowed",
                     event.hyperparameters().yaml().size(), kMaxYamlBytes);
    case v1::Event::kFinished:
      tidy(*event.mutable_finished());
      return absl::OkStatus();
    case v1::Event::kCheckpointRemoved:
      if (const std::size_t size = event.checkpoint_removed().name().size();
          size < 1 || size > kMaxNameBytes) {
        return invalid("a removed checkpoint's name has {} bytes; 1 to {} are allowed", size,
                       kMaxNameBytes);
      }
      return absl::OkStatus();
    case v1::Event::kCheckpoint:   // checked when its upload is committed
    case v1::Event::kLog:          // not stored
    case v1::Event::KIND_NOT_SET:  // a newer version's kind
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::Event> parse_event(std::string_view bytes) {
  v1::Event event;
  if (!event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return invalid("{} bytes that are not an event", bytes.size());
  }
  LCTL_RETURN_IF_ERROR(check_kind(event));
  return event;
}

}  // namespace lctl::ingest
