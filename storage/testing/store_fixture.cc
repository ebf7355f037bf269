#include "storage/testing/store_fixture.h"

#include <utility>

#include "base/check.h"
#include "storage/blobs/sha256.h"

namespace lctl::storage {

std::string text_of(const absl::Status& status) { return status.ToString(); }

v1::Job make_job(std::string_view id, std::string_view name) {
  v1::Job job;
  job.set_id(std::string(id));
  job.mutable_spec()->set_name(std::string(name));
  job.mutable_spec()->set_experiment("default");
  job.mutable_spec()->set_config_yaml("trainer: {max_epochs: 1}\n");
  job.set_state(v1::JOB_STATE_QUEUED);
  job.set_reason("waiting");
  job.set_submitted_us(1'000);
  job.set_submitted_by("me@here");
  return job;
}

JobId add_job(Store& store, std::string_view id, std::string_view name) {
  v1::Transition transition;
  transition.set_to(v1::JOB_STATE_QUEUED);
  transition.set_reason("submitted");
  const absl::StatusOr<JobId> made =
      store.jobs().create({.job = make_job(id, name), .transition = transition}, "");
  EXPECT_EQ(text_of(made.status()), "OK");
  return JobId(std::string(id));
}

void start_attempt(Store& store, const JobId& id, AttemptNumber number,
                   const std::string& resumed_from) {
  absl::StatusOr<v1::Job> job = store.jobs().get(id);
  ASSERT_EQ(text_of(job.status()), "OK");
  job->set_state(v1::JOB_STATE_RUNNING);
  job->set_attempt(number);
  v1::Attempt attempt;
  attempt.set_number(number);
  attempt.set_started_us(number);
  attempt.set_resumed_from_checkpoint(resumed_from);
  v1::RankStatus& rank = *attempt.add_ranks();
  rank.set_node_id("node");
  rank.set_state(v1::RANK_STATE_RUNNING);
  const JobChange change{.job = *job, .transition = {}, .attempt = attempt};
  ASSERT_EQ(text_of(store.jobs().record({&change, 1})), "OK");
}

SpooledEvent record(std::uint64_t offset, v1::Event event) {
  return {.offset = offset, .end_offset = offset + kRecordBytes, .event = std::move(event)};
}

SpooledEvent metric_record(std::uint64_t offset, std::int64_t step, double value,
                           std::string_view key) {
  v1::Event event;
  event.set_time_us(1'000'000 + step);
  event.mutable_metrics()->set_step(step);
  event.mutable_metrics()->set_epoch(step / 10);
  event.mutable_metrics()->add_keys(std::string(key));
  event.mutable_metrics()->add_values(value);
  return record(offset, std::move(event));
}

std::vector<SpooledEvent> metric_records(std::int64_t first, std::int64_t count) {
  std::vector<SpooledEvent> records;
  for (std::int64_t step = first; step < first + count; ++step) {
    records.push_back(metric_record(static_cast<std::uint64_t>(step) * kRecordBytes, step,
                                    static_cast<double>(step)));
  }
  return records;
}

void log_steps(Store& store, const AttemptId& attempt, std::int64_t first, std::int64_t count) {
  const StreamKey stream{attempt, 0, StreamKind::kEvents};
  const absl::StatusOr<std::uint64_t> from = store.events().committed_offset(stream);
  ASSERT_EQ(text_of(from.status()), "OK");
  std::vector<SpooledEvent> records;
  for (std::int64_t i = 0; i < count; ++i) {
    records.push_back(metric_record(*from + static_cast<std::uint64_t>(i) * kRecordBytes, first + i,
                                    static_cast<double>(first + i)));
  }
  const std::uint64_t to = *from + static_cast<std::uint64_t>(count) * kRecordBytes;
  const absl::StatusOr<Applied> applied = store.events().apply(stream, *from, to, records);
  ASSERT_EQ(text_of(applied.status()), "OK");
  ASSERT_EQ(applied->result, Applied::Result::kOk);
}

std::vector<std::int64_t> steps_of(Store& store, const JobId& job, std::string_view key,
                                   bool include_superseded) {
  const auto points = store.metrics().read(
      {.job = job, .key = std::string(key), .include_superseded = include_superseded});
  EXPECT_EQ(text_of(points.status()), "OK");
  std::vector<std::int64_t> steps;
  if (points.ok()) {
    for (const MetricPoint& point : *points) steps.push_back(point.step);
  }
  return steps;
}

std::string hex_sha256(std::string_view bytes) { return to_hex(sha256_of(bytes)); }

std::vector<ChunkRef> chunks_of(std::string_view content) {
  std::vector<ChunkRef> chunks;
  for (std::size_t i = 0; i < content.size(); i += 4) {
    const std::string_view piece = content.substr(i, 4);
    chunks.push_back({hex_sha256(piece), static_cast<std::int64_t>(piece.size())});
  }
  return chunks;
}

void put_chunks(Store& store, std::string_view content) {
  for (std::size_t i = 0; i < content.size(); i += 4) {
    const std::string_view piece = content.substr(i, 4);
    ASSERT_EQ(text_of(store.checkpoints().put(hex_sha256(piece), piece).status()), "OK");
  }
}

Manifest manifest_of(const CheckpointOf& checkpoint) {
  std::string name = checkpoint.name;
  if (name.empty()) {
    name = std::to_string(checkpoint.kind) + "-step=" + std::to_string(checkpoint.step) + ".ckpt";
  }
  std::string content = checkpoint.content;
  if (content.empty()) content = "the state in " + checkpoint.attempt.str() + "/" + name;
  Manifest manifest{.attempt = checkpoint.attempt, .rank = 0, .written = {}};
  manifest.written.set_file(std::to_string(checkpoint.step) + ".ckpt");
  manifest.written.set_name(name);
  manifest.written.set_size(static_cast<std::int64_t>(content.size()));
  manifest.written.set_global_step(checkpoint.step);
  manifest.written.set_kind(checkpoint.kind);
  manifest.written.set_spool_offset(static_cast<std::uint64_t>(checkpoint.step) * kRecordBytes);
  manifest.time_us = 5;
  manifest.chunks = chunks_of(content);
  manifest.sha256 = hex_sha256(content);
  return manifest;
}

absl::StatusOr<CheckpointId> upload(Store& store, const CheckpointOf& checkpoint) {
  const Manifest manifest = manifest_of(checkpoint);
  std::string content = checkpoint.content;
  if (content.empty()) {
    content = "the state in " + checkpoint.attempt.str() + "/" + manifest.written.name();
  }
  put_chunks(store, content);
  return store.checkpoints().commit(manifest);
}

absl::StatusOr<std::string> download(Store& store, const CheckpointId& id, std::int64_t piece) {
  std::string content;
  while (true) {
    LCTL_ASSIGN_OR_RETURN(
        const std::string next,
        store.checkpoints().read(id, static_cast<std::int64_t>(content.size()), piece));
    if (next.empty()) return content;
    content += next;
  }
}

void StoreTest::open(std::int64_t max_database_bytes) {
  absl::StatusOr<std::unique_ptr<Store>> opened = Store::open(
      {.dir = folder_.path(), .clock = clock_, .max_database_bytes = max_database_bytes});
  LCTL_CHECK(opened.ok(), "the store of a test opens");
  store_ = *std::move(opened);
}

PropertyStore::PropertyStore()
    : store_(std::move(*Store::open({.dir = folder_.path(), .clock = clock_}))) {}

}  // namespace lctl::storage
