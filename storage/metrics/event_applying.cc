#include "storage/metrics/event_applying.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "storage/blobs/checkpoint_rows.h"
#include "storage/jobs/search_rows.h"
#include "storage/metrics/block_writing.h"
#include "storage/metrics/series_rows.h"
#include "storage/search/parameters.h"

namespace lctl::storage {
namespace {

// One batch of one stream on its way into the tables.
class EventApplication {
 public:
  EventApplication(Connection& connection, const JobRow& job, const StreamKey& stream,
                   const ApplyOptions& options)
      : connection_(connection), job_(job), stream_(stream), options_(options) {}

  absl::Status apply(const SpooledEvent& spooled) {
    const v1::Event& event = spooled.event;
    if (stream_.kind == StreamKind::kNode) {
      return event.has_metrics() ? store_points(spooled.offset, event) : absl::OkStatus();
    }
    const bool leads = stream_.rank == 0;
    switch (event.kind_case()) {
      case v1::Event::kReady:
        store_ready(event.ready());
        return absl::OkStatus();
      case v1::Event::kFinished:
        store_finished(event.finished(), event.time_us());
        return absl::OkStatus();
      case v1::Event::kMetrics:
        return leads ? store_points(spooled.offset, event) : absl::OkStatus();
      case v1::Event::kProgress:
        if (leads) newest_progress_ = &event;
        return absl::OkStatus();
      case v1::Event::kHyperparameters:
        if (leads) store_hyperparameters(event.hyperparameters());
        return absl::OkStatus();
      case v1::Event::kCheckpointRemoved:
        if (!leads) return absl::OkStatus();
        return mark_removed(connection_, job_, stream_.attempt.number, spooled.offset,
                            event.checkpoint_removed().name(), options_.now_us);
      case v1::Event::kCheckpoint:   // the upload's commit records it
      case v1::Event::kLog:          // in the console output too
      case v1::Event::KIND_NOT_SET:  // a newer version's kind
        return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  // After the last event: the points of all, and of several reports of progress the newest.
  absl::Status finish() {
    const bool measured = stream_.kind == StreamKind::kNode;
    for (auto& [key, points] : points_) {
      if (!may_have(key)) {
        ++keys_left_out_;
        first_left_out_ = key;
        continue;
      }
      const std::optional<std::int64_t> series = series_for(
          connection_, job_.number, key, measured ? SeriesSource::kNode : SeriesSource::kRank);
      if (!series.has_value()) continue;
      LCTL_RETURN_IF_ERROR(
          append_points(connection_, *series, stream_.attempt.number, std::move(points)));
    }
    if (newest_progress_ != nullptr) store_progress();
    return absl::OkStatus();
  }

  std::string left_out() const {
    if (keys_left_out_ == 0) return "";
    return fmt::format(
        "job {} has {} metric keys, and may have no more: the points of {} further ones, '{}' "
        "among "
        "them, were left out; log fewer keys, or ask whoever runs the server to raise "
        "--max-metric-keys",
        stream_.attempt.job.str(), options_.max_keys, keys_left_out_, first_left_out_);
  }

 private:
  void store_progress() {
    v1::Progress progress = newest_progress_->progress();
    if (progress.time_us() == 0) progress.set_time_us(newest_progress_->time_us());
    connection_.query("INSERT OR REPLACE INTO job_progress (job, progress) VALUES (?1, ?2)")
        .bind(job_.number, Blob{progress.SerializeAsString()})
        .run();
  }

  void store_ready(const v1::RankReady& ready) {
    connection_
        .query(
            "INSERT INTO rank_reports (job, attempt, rank, ready, finished, finished_us)"
            " VALUES (?1, ?2, ?3, ?4, NULL, 0)"
            " ON CONFLICT (job, attempt, rank) DO UPDATE SET ready = excluded.ready")
        .bind(job_.number, stream_.attempt.number, stream_.rank, Blob{ready.SerializeAsString()})
        .run();
  }

  void store_finished(const v1::Finished& finished, std::int64_t time_us) {
    connection_
        .query(
            "INSERT INTO rank_reports (job, attempt, rank, ready, finished, finished_us)"
            " VALUES (?1, ?2, ?3, NULL, ?4, ?5) ON CONFLICT (job, attempt, rank) DO UPDATE SET"
            " finished = excluded.finished, finished_us = excluded.finished_us")
        .bind(job_.number, stream_.attempt.number, stream_.rank, Blob{finished.SerializeAsString()},
              time_us)
        .run();
  }

  void store_hyperparameters(const v1::Hyperparameters& hyperparameters) {
    connection_.query("INSERT OR REPLACE INTO job_hyperparameters (job, yaml) VALUES (?1, ?2)")
        .bind(job_.number, hyperparameters.yaml())
        .run();
    write_parameters(connection_, job_.number, ParameterSource::kHyperparameters,
                     flatten_yaml(hyperparameters.yaml()));
  }

  absl::Status store_points(std::uint64_t offset, const v1::Event& event) {
    const v1::MetricPoints& points = event.metrics();
    if (points.keys_size() != points.values_size()) {
      return absl::InvalidArgumentError(
          fmt::format("the metrics at spool offset {} of {} have {} keys and {} values", offset,
                      stream_.attempt.str(), points.keys_size(), points.values_size()));
    }
    const bool measured = stream_.kind == StreamKind::kNode;
    const std::int64_t step = measured ? seconds_since_submission(event.time_us()) : points.step();
    for (int i = 0; i < points.keys_size(); ++i) {
      if (measured && !points.keys(i).starts_with(kNodeKeyPrefix)) continue;
      points_[points.keys(i)].push_back({.step = step,
                                         .epoch = points.epoch(),
                                         .time_us = event.time_us(),
                                         .value = points.values(i),
                                         .offset = offset,
                                         .ordinal = static_cast<std::uint32_t>(i)});
    }
    return absl::OkStatus();
  }

  // False when the job has its limit of keys, and this is none of them.
  bool may_have(const std::string& key) {
    if (options_.max_keys <= 0 || find_series(connection_, job_.number, key)) return true;
    Query count = connection_.query("SELECT count(*) FROM series WHERE job = ?1");
    count.bind(job_.number);
    count.step();
    return count.integer(0) < options_.max_keys;
  }

  // Clocks of nodes differ: never before it.
  std::int64_t seconds_since_submission(std::int64_t time_us) {
    if (!submitted_us_.has_value()) {
      Query query = connection_.query("SELECT submitted_us FROM jobs WHERE number = ?1");
      query.bind(job_.number);
      submitted_us_ = query.step() ? query.integer(0) : 0;
    }
    return std::max<std::int64_t>(0, (time_us - *submitted_us_) / 1'000'000);
  }

  Connection& connection_;
  const JobRow& job_;
  const StreamKey& stream_;
  const ApplyOptions& options_;
  std::int64_t keys_left_out_ = 0;
  std::string first_left_out_;
  std::unordered_map<std::string, std::vector<BlockPoint>> points_;  // of the batch, by key
  const v1::Event* newest_progress_ = nullptr;
  std::optional<std::int64_t> submitted_us_;  // of the job; read when it is needed
};

}  // namespace

absl::StatusOr<std::string> apply_events(Connection& connection, const JobRow& job,
                                         const StreamKey& stream,
                                         std::span<const SpooledEvent> events,
                                         std::uint64_t first_offset, const ApplyOptions& options) {
  EventApplication application(connection, job, stream, options);
  for (const SpooledEvent& event : events) {
    if (event.offset >= first_offset) LCTL_RETURN_IF_ERROR(application.apply(event));
  }
  LCTL_RETURN_IF_ERROR(application.finish());
  return application.left_out();
}

}  // namespace lctl::storage
