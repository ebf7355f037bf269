#include "storage/metrics/event_applying.h"

#include <fmt/format.h>

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
                   std::int64_t now_us)
      : connection_(connection), job_(job), stream_(stream), now_us_(now_us) {}

  absl::Status apply(const SpooledEvent& spooled) {
    const v1::Event& event = spooled.event;
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
                            event.checkpoint_removed().name(), now_us_);
      case v1::Event::kCheckpoint:   // the upload's commit records it
      case v1::Event::kLog:          // in the console output too
      case v1::Event::KIND_NOT_SET:  // a newer version's kind
        return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  // After the last event: the points of all, and of several reports of progress the newest.
  absl::Status finish() {
    for (auto& [key, points] : points_) {
      LCTL_RETURN_IF_ERROR(append_points(connection_, series_of(connection_, job_.number, key),
                                         stream_.attempt.number, std::move(points)));
    }
    if (newest_progress_ != nullptr) store_progress();
    return absl::OkStatus();
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
    for (int i = 0; i < points.keys_size(); ++i) {
      points_[points.keys(i)].push_back({.step = points.step(),
                                         .epoch = points.epoch(),
                                         .time_us = event.time_us(),
                                         .value = points.values(i),
                                         .offset = offset,
                                         .ordinal = static_cast<std::uint32_t>(i)});
    }
    return absl::OkStatus();
  }

  Connection& connection_;
  const JobRow& job_;
  const StreamKey& stream_;
  const std::int64_t now_us_;
  std::unordered_map<std::string, std::vector<BlockPoint>> points_;  // of the batch, by key
  const v1::Event* newest_progress_ = nullptr;
};

}  // namespace

absl::Status apply_events(Connection& connection, const JobRow& job, const StreamKey& stream,
                          std::span<const SpooledEvent> events, std::uint64_t first_offset,
                          std::int64_t now_us) {
  EventApplication application(connection, job, stream, now_us);
  for (const SpooledEvent& event : events) {
    if (event.offset >= first_offset) LCTL_RETURN_IF_ERROR(application.apply(event));
  }
  return application.finish();
}

}  // namespace lctl::storage
