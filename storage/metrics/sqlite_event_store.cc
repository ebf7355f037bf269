#include "storage/metrics/sqlite_event_store.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "storage/jobs/job_rows.h"
#include "storage/logs/text_log.h"
#include "storage/metrics/event_applying.h"
#include "storage/metrics/series_rows.h"

namespace lctl::storage {
namespace {

constexpr std::uint64_t kMaxOffset = std::numeric_limits<std::int64_t>::max();
constexpr int kMaxPageChunks = 4'096;

std::string describe(const StreamKey& stream) {
  static constexpr const char* kNames[] = {"", "events", "stdout", "stderr", "node's measurements"};
  return fmt::format("{} of {} rank {}", kNames[static_cast<int>(stream.kind)],
                     stream.attempt.str(), stream.rank);
}

// What can be said of a batch without looking at the store.
absl::Status check_shape(const StreamBatch& batch) {
  const StreamKey& stream = batch.stream;
  if (!is_stream_kind(stream.kind)) {
    return absl::InvalidArgumentError(
        fmt::format("stream kind {} does not exist", static_cast<int>(stream.kind)));
  }
  const auto invalid = [&](std::string_view what) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", describe(stream), what));
  };
  if (batch.from > batch.to || batch.to > kMaxOffset) {
    return invalid(
        fmt::format("a batch cannot reach from byte {} to byte {}", batch.from, batch.to));
  }
  if (!carries_events(stream.kind)) {
    if (batch.text.size() == batch.to - batch.from || batch.text.empty()) return absl::OkStatus();
    return invalid(fmt::format("{} bytes of text for the range [{}, {})", batch.text.size(),
                               batch.from, batch.to));
  }
  std::uint64_t position = batch.from;
  for (const SpooledEvent& event : batch.events) {
    if (event.offset < position || event.end_offset <= event.offset ||
        event.end_offset > batch.to) {
      return invalid(
          fmt::format("the record [{}, {}) is out of order or outside of the batch [{}, {})",
                      event.offset, event.end_offset, batch.from, batch.to));
    }
    position = event.end_offset;
  }
  return absl::OkStatus();
}

absl::Status check_boundary(const StreamBatch& batch, std::uint64_t committed) {
  for (const SpooledEvent& event : batch.events) {
    if (event.offset < committed && event.end_offset > committed) {
      return absl::InvalidArgumentError(
          fmt::format("{}: the record [{}, {}) lies across the committed offset {}: these are not "
                      "the same records",
                      describe(batch.stream), event.offset, event.end_offset, committed));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Applied> apply_batch(Connection& connection, const StreamBatch& batch,
                                    const ApplyOptions& options) {
  std::string left_out;
  const StreamKey& stream = batch.stream;
  // Inside the transaction: no other change can replace the attempt before the commit.
  const std::optional<JobRow> job = find_job(connection, stream.attempt.job.str());
  if (!job || job->attempt != stream.attempt.number) {
    return Applied{.result = Applied::Result::kFenced};
  }
  const std::uint64_t committed = read_committed(connection, job->number, stream);
  if (batch.from > committed) {
    return Applied{Applied::Result::kGap, committed, committed, {}};
  }
  if (batch.to <= committed) return Applied{Applied::Result::kOk, committed, committed, {}};
  if (carries_events(stream.kind)) {
    LCTL_RETURN_IF_ERROR(check_boundary(batch, committed));
    LCTL_ASSIGN_OR_RETURN(left_out,
                          apply_events(connection, *job, stream, batch.events, committed, options));
  } else if (!batch.text.empty()) {
    append_chunk(connection, *job, stream, committed, batch.text.substr(committed - batch.from),
                 batch.time_us);
  }
  write_committed(connection, job->number, stream, batch.to);
  return Applied{Applied::Result::kOk, committed, batch.to, std::move(left_out)};
}

absl::Status check_page(const EventStore::TextQuery& query) {
  if (query.max_chunks >= 1 && query.max_chunks <= kMaxPageChunks) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("max_chunks is {}; it must be 1 to {}", query.max_chunks, kMaxPageChunks));
}

}  // namespace

absl::StatusOr<Applied> SqliteEventStore::apply(const StreamKey& stream, std::uint64_t from,
                                                std::uint64_t to,
                                                const std::vector<SpooledEvent>& events) {
  return apply_all({{.stream = stream, .from = from, .to = to, .events = events}}).front();
}

absl::StatusOr<Applied> SqliteEventStore::append_text(const StreamKey& stream, std::uint64_t from,
                                                      std::string_view text, std::int64_t time_us) {
  return apply_all({{.stream = stream,
                     .from = from,
                     .to = from + text.size(),
                     .events = {},
                     .text = text,
                     .time_us = time_us}})
      .front();
}

std::vector<absl::StatusOr<Applied>> SqliteEventStore::apply_all(
    const std::vector<StreamBatch>& batches) {
  const ApplyOptions options{.now_us = unix_micros(clock_.wall_now()), .max_keys = max_keys_};
  std::vector<absl::StatusOr<Applied>> results(batches.size());
  std::vector<Writer::Change> changes;
  changes.reserve(batches.size());
  for (std::size_t i = 0; i < batches.size(); ++i) {
    changes.push_back([&, i](Connection& connection) -> absl::Status {
      LCTL_RETURN_IF_ERROR(check_shape(batches[i]));
      results[i] = apply_batch(connection, batches[i], options);
      return results[i].status();
    });
  }
  const std::vector<absl::Status> committed = database_.write_all(changes);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    if (!committed[i].ok()) results[i] = committed[i];
  }
  return results;
}

absl::StatusOr<std::uint64_t> SqliteEventStore::committed_offset(const StreamKey& stream) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<std::uint64_t> {
    const std::optional<JobRow> job = find_job(connection, stream.attempt.job.str());
    return job ? read_committed(connection, job->number, stream) : 0;
  });
}

absl::StatusOr<std::optional<RankResult>> SqliteEventStore::rank_result(const AttemptId& attempt,
                                                                        int rank) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<std::optional<RankResult>> {
    LCTL_ASSIGN_OR_RETURN(const JobRow job, require_job(connection, attempt.job.str()));
    Query query = connection.query(
        "SELECT finished, finished_us FROM rank_reports"
        " WHERE job = ?1 AND attempt = ?2 AND rank = ?3 AND finished IS NOT NULL");
    query.bind(job.number, attempt.number, rank);
    if (!query.step()) return std::nullopt;
    RankResult result{.finished = {}, .time_us = query.integer(1)};
    const std::string_view bytes = query.blob(0);
    if (!result.finished.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return absl::DataLossError(
          fmt::format("the stored end of rank {} of {} is damaged; restore the store from a backup",
                      rank, attempt.str()));
    }
    return result;
  });
}

absl::StatusOr<EventStore::TextPage> SqliteEventStore::read_text(const TextQuery& query) const {
  LCTL_RETURN_IF_ERROR(check_page(query));
  return database_.read([&](Connection& connection) -> absl::StatusOr<TextPage> {
    LCTL_ASSIGN_OR_RETURN(const JobRow job, require_job(connection, query.job.str()));
    return read_chunks(connection, job, query);
  });
}

absl::StatusOr<EventStore::TextTail> SqliteEventStore::find_tail(const TextQuery& query,
                                                                 std::int64_t bytes) const {
  if (bytes < 0) {
    return absl::InvalidArgumentError(fmt::format("a tail cannot have {} bytes", bytes));
  }
  return database_.read([&](Connection& connection) -> absl::StatusOr<TextTail> {
    LCTL_ASSIGN_OR_RETURN(const JobRow job, require_job(connection, query.job.str()));
    return storage::find_tail(connection, job, query, bytes);
  });
}

}  // namespace lctl::storage
