// From the folders of ranks into the store: events, output, checkpoints.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "storage/blobs/sha256.h"
#include "tests/simulation/simulated_node.h"
#include "tests/simulation/simulated_server.h"

namespace lctl::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kRecordsInBatch = 3;
constexpr std::size_t kTextInBatch = 40;
constexpr std::size_t kChunkBytes = 24;

std::string hash_of(std::string_view bytes) { return storage::to_hex(storage::sha256_of(bytes)); }

v1::StreamId stream_of(const AttemptId& id, int rank, v1::StreamKind kind) {
  v1::StreamId stream;
  stream.set_job_id(id.job.str());
  stream.set_attempt(id.number);
  stream.set_rank(rank);
  stream.set_kind(kind);
  return stream;
}

}  // namespace

void SimulatedNode::open_ingest() {
  ingest_ = options_.transport.open(options_.number, StreamKind::kIngest);
  for (auto& [id, attempt] : attempts_) {
    for (auto& [number, rank] : attempt.ranks) {
      if (const auto folder = disk_.find(id); folder != disk_.end()) {
        rewind(folder->second.ranks.at(number), rank);
      }
    }
  }
  pump_soon(milliseconds(1));
}

// All that is not acknowledged is sent again.
void SimulatedNode::rewind(const RankFolder& folder, Rank& rank) {
  rank.sent_events = folder.acknowledged_events;
  rank.sent_output = folder.acknowledged_output;
}

void SimulatedNode::pump_soon(Duration delay) {
  if (!up_ || std::exchange(pump_is_due_, true)) return;
  later(options_.random.between(Duration(500), 2 * delay), [this] {
    pump_is_due_ = false;
    pump();
  });
}

void SimulatedNode::pump() {
  if (!ingest_) return;
  const MonotonicTime now = options_.queue.monotonic_now();
  for (auto& [id, attempt] : attempts_) {
    if (attempt.launching) continue;
    Folder& folder = disk_.at(id);
    for (auto& [number, rank] : attempt.ranks) {
      if (rank.not_before > now) {
        pump_soon(milliseconds(200));
        continue;
      }
      RankFolder& files = folder.ranks.at(number);
      send_events(id, number, files, rank);
      send_output(id, number, files, rank);
      const bool all = files.acknowledged_events >= (files.spool.empty() ? 0 : files.spool_end()) &&
                       files.acknowledged_output >= files.output.size();
      if (rank.ended && all && !std::exchange(rank.forwarded, true)) {
        later(milliseconds(1), [this, id = id, number = number] { settle(id, number); });
      }
    }
  }
}

void SimulatedNode::send_events(const AttemptId& id, int number, RankFolder& files, Rank& rank) {
  while (true) {
    v1::IngestBatch batch;
    *batch.mutable_stream() = stream_of(id, number, v1::STREAM_KIND_EVENTS);
    batch.set_from_offset(rank.sent_events);
    for (const v1::SpooledEvent& record : files.spool) {
      if (record.offset() < std::max(rank.sent_events, kSpoolHeader)) continue;
      if (batch.events_size() == kRecordsInBatch) break;
      *batch.add_events() = record;
    }
    if (batch.events().empty()) return;
    rank.sent_events = batch.events(batch.events_size() - 1).end_offset();
    batch.set_to_offset(rank.sent_events);
    if (options_.bug == Bug::kForgetsWhenSent) files.acknowledged_events = rank.sent_events;
    options_.transport.up(
        ingest_, fmt::format("events of rank {} of {} to {}", number, id.str(), batch.to_offset()),
        [stream = ingest_, batch](SimulatedServer& server) { server.ingest_batch(stream, batch); });
  }
}

void SimulatedNode::send_output(const AttemptId& id, int number, RankFolder& files, Rank& rank) {
  while (rank.sent_output < files.output.size()) {
    v1::IngestBatch batch;
    *batch.mutable_stream() = stream_of(id, number, v1::STREAM_KIND_STDOUT);
    batch.set_from_offset(rank.sent_output);
    batch.set_time_us(unix_micros(options_.queue.wall_now()));
    batch.set_text(files.output.substr(rank.sent_output, kTextInBatch));
    rank.sent_output += batch.text().size();
    batch.set_to_offset(rank.sent_output);
    if (options_.bug == Bug::kForgetsWhenSent) files.acknowledged_output = rank.sent_output;
    options_.transport.up(
        ingest_, fmt::format("output of rank {} of {} to {}", number, id.str(), batch.to_offset()),
        [stream = ingest_, batch](SimulatedServer& server) { server.ingest_batch(stream, batch); });
  }
}

void SimulatedNode::ingest_ack(const StreamPtr& stream, const v1::IngestAck& ack) {
  const AttemptId id{JobId(ack.stream().job_id()), ack.stream().attempt()};
  const int number = ack.stream().rank();
  const auto kind = static_cast<storage::StreamKind>(ack.stream().kind());
  if (!up_ || stream != ingest_) return;
  Rank* rank = find(id, number);
  if (rank == nullptr || !disk_.contains(id)) return;
  RankFolder& files = disk_.at(id).ranks.at(number);
  const bool events = kind == storage::StreamKind::kEvents;
  std::uint64_t& acknowledged = events ? files.acknowledged_events : files.acknowledged_output;
  std::uint64_t& sent = events ? rank->sent_events : rank->sent_output;
  switch (ack.result()) {
    case v1::IngestAck::RESULT_FENCED:
      on_forget(id);
      return;
    case v1::IngestAck::RESULT_OK:
      options_.invariants.acknowledged({id, number, kind}, ack.committed_offset());
      if (ack.committed_offset() > acknowledged) {
        acknowledged = ack.committed_offset();
        sent = std::max(sent, acknowledged);
      }
      if (events) announce_acknowledged(id, number);
      break;
    case v1::IngestAck::RESULT_GAP:
      acknowledged = ack.committed_offset();
      sent = acknowledged;
      break;
    case v1::IngestAck::RESULT_INVALID:
      options_.invariants.violated(
          fmt::format("a good batch of {} was refused: {}", id.str(), ack.message()));
      return;
    default:  // RETRY
      sent = acknowledged;
      rank->not_before = options_.queue.monotonic_now() + milliseconds(500);
      break;
  }
  pump_soon(milliseconds(1));
}

// --- checkpoints ---

// A checkpoint goes up when the events of its past are stored.
void SimulatedNode::announce_acknowledged(const AttemptId& id, int number) {
  const RankFolder& files = disk_.at(id).ranks.at(number);
  Rank& rank = *find(id, number);
  for (const v1::SpooledEvent& record : files.spool) {
    if (record.end_offset() <= rank.announced) continue;
    if (record.end_offset() > files.acknowledged_events) break;
    rank.announced = record.end_offset();
    v1::Event event;
    if (!event.ParseFromString(record.event()) || !event.has_checkpoint()) continue;
    if (!files.stage.contains(event.checkpoint().file())) continue;  // uploaded before
    ++rank.uploads;
    uploads_.push_back({id, number, event.checkpoint()});
    upload_soon(milliseconds(5));
  }
}

void SimulatedNode::upload_soon(Duration delay) {
  if (uploading_ || uploads_.empty()) return;
  uploading_ = true;
  later(delay, [this] { upload_next(); });
}

void SimulatedNode::upload_next() {
  if (uploads_.empty()) {
    uploading_ = false;
    return;
  }
  const Upload upload = uploads_.front();
  const auto folder = disk_.find(upload.attempt);
  if (folder == disk_.end()) return upload_done(upload, absl::OkStatus());
  const auto& stage = folder->second.ranks.at(upload.rank).stage;
  const auto file = stage.find(upload.written.file());
  if (file == stage.end()) return upload_done(upload, absl::OkStatus());
  storage::Manifest manifest{
      .attempt = upload.attempt, .rank = upload.rank, .written = upload.written};
  manifest.time_us = unix_micros(options_.queue.wall_now());
  const std::string& content = file->second.content;
  std::vector<std::string> hashes;
  for (std::size_t i = 0; i < content.size(); i += kChunkBytes) {
    const std::string piece = content.substr(i, kChunkBytes);
    hashes.push_back(hash_of(piece));
    manifest.chunks.push_back({hashes.back(), static_cast<std::int64_t>(piece.size())});
  }
  manifest.sha256 = hash_of(content);
  options_.transport.call<std::vector<std::string>>(
      options_.number, "find missing",
      [hashes](SimulatedServer& server) { return server.find_missing(hashes); },
      [this, upload, manifest, life = life_](absl::StatusOr<std::vector<std::string>> missing) {
        if (!up_ || life != life_) return;
        if (!missing.ok()) return upload_done(upload, missing.status());
        send_chunks(upload, manifest, *std::move(missing));
      });
}

// One chunk after the other, then the commit.
void SimulatedNode::send_chunks(const Upload& upload, const storage::Manifest& manifest,
                                std::vector<std::string> missing) {
  const auto folder = disk_.find(upload.attempt);
  if (folder == disk_.end()) return upload_done(upload, absl::OkStatus());
  if (missing.empty()) {
    options_.transport.call<CheckpointId>(
        options_.number,
        fmt::format("commit {} of {}", upload.written.file(), upload.attempt.str()),
        [manifest](SimulatedServer& server) { return server.commit(manifest); },
        [this, upload, life = life_](absl::StatusOr<CheckpointId> committed) {
          if (up_ && life == life_) upload_done(upload, committed.status());
        });
    return;
  }
  const std::string hash = missing.back();
  missing.pop_back();
  const std::string& content =
      folder->second.ranks.at(upload.rank).stage.at(upload.written.file()).content;
  std::string piece;
  for (std::size_t i = 0; i < manifest.chunks.size(); ++i) {
    if (manifest.chunks[i].sha256 == hash) piece = content.substr(i * kChunkBytes, kChunkBytes);
  }
  options_.transport.call<bool>(
      options_.number, "put chunk",
      [hash, piece](SimulatedServer& server) { return server.put(hash, piece); },
      [this, upload, manifest, missing, life = life_](absl::StatusOr<bool> put) {
        if (!up_ || life != life_) return;
        if (!put.ok()) return upload_done(upload, put.status());
        send_chunks(upload, manifest, missing);
      });
}

void SimulatedNode::upload_done(const Upload& upload, const absl::Status& status) {
  uploading_ = false;
  const bool final = status.ok() || absl::IsFailedPrecondition(status) ||
                     absl::IsInvalidArgument(status) || absl::IsNotFound(status);
  if (!final) return upload_soon(options_.random.between(milliseconds(200), seconds(2)));
  std::erase_if(uploads_, [&](const Upload& each) {
    return each.attempt == upload.attempt && each.rank == upload.rank &&
           each.written.file() == upload.written.file();
  });
  if (Rank* rank = find(upload.attempt, upload.rank);
      rank != nullptr && disk_.contains(upload.attempt)) {
    disk_.at(upload.attempt).ranks.at(upload.rank).stage.erase(upload.written.file());
    --rank->uploads;
    settle(upload.attempt, upload.rank);
  }
  upload_soon(milliseconds(1));
}

}  // namespace lctl::simulation
