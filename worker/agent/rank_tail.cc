#include "worker/agent/rank_tail.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>
#include <vector>

#include "base/log.h"

namespace lctl::agent {
namespace {

constexpr std::uint64_t kReleaseStep = 1 << 20;

constexpr v1::StreamKind kRecordKinds[] = {v1::STREAM_KIND_EVENTS, v1::STREAM_KIND_NODE};
constexpr v1::StreamKind kConsoleKinds[] = {v1::STREAM_KIND_STDOUT, v1::STREAM_KIND_STDERR};

bool has_records(v1::StreamKind kind) {
  return kind == v1::STREAM_KIND_EVENTS || kind == v1::STREAM_KIND_NODE;
}

}  // namespace

RankTail::RankTail(const AttemptId& attempt, int rank, RunFolder folder,
                   const google::protobuf::RepeatedPtrField<v1::LogPolicy>& policies,
                   OnCheckpoint on_checkpoint, OnLogMatch on_log_match)
    : attempt_(attempt),
      rank_(rank),
      folder_(std::move(folder)),
      on_checkpoint_(std::move(on_checkpoint)),
      on_log_match_(std::move(on_log_match)),
      scanner_(policies, folder_.log_matches(rank_)) {
  const RankOffsets offsets = folder_.offsets(rank_);
  stream(v1::STREAM_KIND_EVENTS).acknowledged = offsets.events;
  stream(v1::STREAM_KIND_STDOUT).acknowledged = offsets.out;
  stream(v1::STREAM_KIND_STDERR).acknowledged = offsets.err;
  stream(v1::STREAM_KIND_NODE).acknowledged = offsets.node;
  announce_acknowledged();
  rewind();
}

// From where it was done last.
void RankTail::announce_acknowledged() {
  const std::uint64_t end = stream(v1::STREAM_KIND_EVENTS).acknowledged;
  if (end <= announced_) return;
  const auto reader = spool::SpoolReader::open(folder_.spool(rank_), announced_);
  // In the order of their announcement; a name that was used again means its last use.
  std::vector<v1::Event> waiting;
  while (reader->offset() < end) {
    const auto records = reader->read(kMaxBatchBytes);
    if (!records.ok() || records->empty()) break;  // next_batch() will say what is wrong
    for (const spool::Record& record : *records) {
      v1::Event event;
      if (record.end_offset > end || !event.ParseFromString(record.event) ||
          !event.has_checkpoint())
        continue;
      const std::string& file = event.checkpoint().file();
      std::error_code ignored;
      if (!std::filesystem::exists(folder_.stage(rank_) / file, ignored)) continue;
      std::erase_if(waiting,
                    [&](const v1::Event& other) { return other.checkpoint().file() == file; });
      waiting.push_back(std::move(event));
    }
  }
  announced_ = end;
  for (const v1::Event& event : waiting) on_checkpoint_(event.checkpoint(), event.time_us());
}

void RankTail::tell_damage(const absl::Status& status) {
  const absl::Status told = folder_.add_note(
      rank_,
      fmt::format("{}; what the rank reported after that is not in the store", message_of(status)));
  if (!told.ok()) logger("forwarder").warn("{}", message_of(told));
}

void RankTail::process_ended() {
  ended_ = true;
  // What an earlier read saw is not the end that counts.
  for (auto& [kind, records] : records_) records.at_end = false;
}

void RankTail::rewind() {
  for (Stream& each : streams_) each.sent = each.acknowledged;
  for (const v1::StreamKind kind : kRecordKinds) {
    Records& records = records_[kind];
    records.reader = spool::SpoolReader::open(file(kind), stream(kind).acknowledged);
    records.at_end = false;
    records.damaged = false;
  }
}

absl::StatusOr<std::optional<v1::IngestBatch>> RankTail::next_batch(v1::StreamKind kind,
                                                                    std::int64_t now_us) {
  const Stream& now = stream(kind);
  if (now.sent - now.acknowledged >= kMaxUnacknowledgedBytes) return std::nullopt;
  return has_records(kind) ? next_records(kind, now_us) : next_text(kind, now_us);
}

v1::IngestBatch RankTail::empty_batch(v1::StreamKind kind, std::int64_t now_us) const {
  v1::IngestBatch batch;
  batch.mutable_stream()->set_job_id(attempt_.job.str());
  batch.mutable_stream()->set_attempt(attempt_.number);
  batch.mutable_stream()->set_rank(rank_);
  batch.mutable_stream()->set_kind(kind);
  batch.set_time_us(now_us);
  return batch;
}

absl::StatusOr<std::optional<v1::IngestBatch>> RankTail::next_records(v1::StreamKind kind,
                                                                      std::int64_t now_us) {
  Records& source = records_[kind];
  if (source.damaged) return std::nullopt;
  const absl::StatusOr<std::vector<spool::Record>> records = source.reader->read(kMaxBatchBytes);
  if (!records.ok()) {
    if (!absl::IsDataLoss(records.status())) return records.status();
    source.damaged = true;
    if (std::exchange(source.damage_told, true)) return std::nullopt;
    tell_damage(records.status());
    return records.status();
  }
  source.at_end = records->empty();
  if (records->empty()) return std::nullopt;
  v1::IngestBatch batch = empty_batch(kind, now_us);
  Stream& events = stream(kind);
  batch.set_from_offset(events.sent);
  for (const spool::Record& record : *records) {
    v1::SpooledEvent& spooled = *batch.add_events();
    spooled.set_offset(record.offset);
    spooled.set_end_offset(record.end_offset);
    spooled.set_event(record.event);
  }
  events.sent = records->back().end_offset;
  batch.set_to_offset(events.sent);
  return batch;
}

absl::StatusOr<std::optional<v1::IngestBatch>> RankTail::next_text(v1::StreamKind kind,
                                                                   std::int64_t now_us) {
  Stream& console = stream(kind);
  if (!console.file.valid()) {
    const std::filesystem::path path = file(kind);
    console.file = Descriptor(open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!console.file.valid()) {
      if (errno == ENOENT) return std::nullopt;
      return errno_status(errno, fmt::format("opening {}", path.string()));
    }
  }
  struct stat info = {};
  if (fstat(console.file.get(), &info) != 0)
    return errno_status(errno, fmt::format("asking for the size of {}", file(kind).string()));
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size <= console.sent) {
    if (ended_) tell_matches(scanner_.end(kind));
    return std::nullopt;
  }
  v1::IngestBatch batch = empty_batch(kind, now_us);
  std::string& text = *batch.mutable_text();
  text.resize(
      static_cast<std::size_t>(std::min<std::uint64_t>(kMaxBatchBytes, size - console.sent)));
  const ssize_t got =
      pread(console.file.get(), text.data(), text.size(), static_cast<off_t>(console.sent));
  if (got < 0) return errno_status(errno, fmt::format("reading {}", file(kind).string()));
  if (got == 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(got));
  batch.set_from_offset(console.sent);
  console.sent += static_cast<std::uint64_t>(got);
  batch.set_to_offset(console.sent);
  if (scanner_.is_looking()) look_for_policies(kind, batch);
  return batch;
}

// A daemon that was restarted begins where the server's copy ends, which may be inside a line.
void RankTail::look_for_policies(v1::StreamKind kind, const v1::IngestBatch& batch) {
  const std::uint64_t from = batch.from_offset();
  if (scanner_.expected(kind) == 0 && from > 0) {
    std::string before(std::min<std::uint64_t>(from, LogScanner::kMaxLineBytes), '\0');
    const std::uint64_t start = from - before.size();
    const ssize_t got =
        pread(stream(kind).file.get(), before.data(), before.size(), static_cast<off_t>(start));
    const std::size_t newline = before.find_last_of("\r\n");
    const std::size_t line = newline == std::string::npos ? 0 : newline + 1;
    if (got == static_cast<ssize_t>(before.size())) {
      tell_matches(scanner_.scan(kind, start + line, std::string_view(before).substr(line)));
    }
  }
  tell_matches(scanner_.scan(kind, from, batch.text()));
}

// First into the folder: the lines are not looked at again once the server has them.
void RankTail::tell_matches(const std::vector<int>& policies) {
  if (policies.empty()) return;
  if (const absl::Status kept = folder_.save_log_matches(rank_, scanner_.known()); !kept.ok()) {
    logger("forwarder").warn("{}", message_of(kept));
  }
  for (const int policy : policies) on_log_match_(policy, scanner_.known().at(policy));
}

bool RankTail::acknowledge(const v1::IngestAck& ack) {
  const v1::StreamKind kind = ack.stream().kind();
  if (kind < v1::STREAM_KIND_EVENTS || kind > v1::STREAM_KIND_NODE) return true;
  Stream& now = stream(kind);
  switch (ack.result()) {
    case v1::IngestAck::RESULT_FENCED:
      return false;
    case v1::IngestAck::RESULT_INVALID:
      logger("forwarder")
          .error("{} rank {}: the server cannot read a batch of {}: {}", attempt_.str(), rank_,
                 v1::StreamKind_Name(kind), ack.message());
      [[fallthrough]];
    case v1::IngestAck::RESULT_OK:
      if (ack.committed_offset() <= now.acknowledged) return true;
      now.acknowledged = ack.committed_offset();
      // Another path may have brought the server further than what was sent on this stream.
      if (now.sent < now.acknowledged) rewind();
      save_offsets();
      if (kind == v1::STREAM_KIND_EVENTS) announce_acknowledged();
      if (!has_records(kind)) release_space(kind);
      return true;
    case v1::IngestAck::RESULT_GAP:
      // A batch that was under way when an earlier one was refused, or a server whose store is
      // older than what it acknowledged: it gets what it lacks.
      if (ack.committed_offset() < now.acknowledged) {
        logger("forwarder")
            .warn("{} rank {}: the server has {} only up to byte {}, and had acknowledged {}",
                  attempt_.str(), rank_, v1::StreamKind_Name(kind), ack.committed_offset(),
                  now.acknowledged);
      }
      now.acknowledged = ack.committed_offset();
      save_offsets();
      rewind();
      return true;
    default:  // RETRY, and results of a newer server
      rewind();
      return true;
  }
}

bool RankTail::drained() {
  if (!ended_) return false;
  for (const v1::StreamKind kind : kRecordKinds) {
    const Records& records = records_[kind];
    // Most ranks have no measurements: nothing needs to be read for that.
    if (kind == v1::STREAM_KIND_NODE && size_of_file(kind) == 0) continue;
    if (!records.at_end && !records.damaged) return false;
    if (stream(kind).acknowledged != stream(kind).sent) return false;
  }
  for (const v1::StreamKind kind : kConsoleKinds) {
    if (stream(kind).acknowledged < size_of_file(kind)) return false;
  }
  return true;
}

std::uint64_t RankTail::acknowledged_bytes() const {
  std::uint64_t bytes = 0;
  for (const Stream& each : streams_) bytes += each.acknowledged;
  return bytes;
}

std::uint64_t RankTail::waiting_bytes() const {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < std::size(streams_); ++i) {
    const std::uint64_t size = size_of_file(static_cast<v1::StreamKind>(i + 1));
    bytes += size - std::min(size, streams_[i].acknowledged);
  }
  return bytes;
}

void RankTail::save_offsets() {
  const absl::Status status = folder_.save_offsets(
      rank_,
      {stream(v1::STREAM_KIND_EVENTS).acknowledged, stream(v1::STREAM_KIND_STDOUT).acknowledged,
       stream(v1::STREAM_KIND_STDERR).acknowledged, stream(v1::STREAM_KIND_NODE).acknowledged});
  // Not fatal: after a restart more is sent again, and the server drops it.
  if (!status.ok() && !cannot_save_) logger("forwarder").warn("{}", message_of(status));
  cannot_save_ = !status.ok();
}

// Captured output must not fill the disk: what the server has, beyond a tail for people on the
// node, is cut out of the file. Offsets stay what they are, and the writer notices nothing.
void RankTail::release_space(v1::StreamKind kind) {
  Stream& console = stream(kind);
  if (cannot_release_ || console.acknowledged < console.released + kKeptConsoleBytes + kReleaseStep)
    return;
  const std::uint64_t end = (console.acknowledged - kKeptConsoleBytes) & ~std::uint64_t{4095};
  if (fallocate(console.file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                static_cast<off_t>(end)) != 0) {
    logger("forwarder")
        .warn("{}: this file system cannot release the space of acknowledged output: {}",
              file(kind).string(), message_of(errno_status(errno, "fallocate")));
    cannot_release_ = true;
    return;
  }
  console.released = end;
}

std::filesystem::path RankTail::file(v1::StreamKind kind) const {
  switch (kind) {
    case v1::STREAM_KIND_STDOUT:
      return folder_.rank(rank_) / "stdout";
    case v1::STREAM_KIND_STDERR:
      return folder_.rank(rank_) / "stderr";
    case v1::STREAM_KIND_NODE:
      return folder_.node_log(rank_);
    default:
      return folder_.spool(rank_);
  }
}

std::uint64_t RankTail::size_of_file(v1::StreamKind kind) const {
  std::error_code error;
  const auto size = std::filesystem::file_size(file(kind), error);
  return error ? 0 : size;
}

}  // namespace lctl::agent
