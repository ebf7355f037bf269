#include "server/services/log_reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace lctl::services {
namespace {

// Below gRPC's default limit of 4 MiB a message, so that any client can receive it.
constexpr std::size_t kPieceBytes = 1 << 20;

}  // namespace

absl::Status check_logs_request(const v1::GetLogsRequest& request) {
  if (request.attempt() < 0 || request.rank() < -1 || request.tail_bytes() < 0) {
    return absl::InvalidArgumentError(
        fmt::format("attempt {}, rank {} and tail_bytes {}: the least are 0 (all), -1 (all) and 0 "
                    "(from the beginning)",
                    request.attempt(), request.rank(), request.tail_bytes()));
  }
  return absl::OkStatus();
}

absl::StatusOr<LogReading> LogReading::begin(const storage::EventStore& store, const JobId& job,
                                             const v1::GetLogsRequest& request) {
  LogReading reading(store, {.job = job, .attempt = request.attempt(), .rank = request.rank()});
  if (request.tail_bytes() > 0) {
    LCTL_ASSIGN_OR_RETURN(reading.tail_, store.find_tail(reading.query_, request.tail_bytes()));
    reading.query_.after_id = reading.tail_.after_id;
  }
  return reading;
}

absl::StatusOr<std::vector<v1::LogChunk>> LogReading::next() {
  std::vector<v1::LogChunk> chunks;
  // A page may lie wholly before the tail: then the next one counts.
  while (chunks.empty()) {
    LCTL_ASSIGN_OR_RETURN(const storage::EventStore::TextPage page, store_->read_text(query_));
    if (page.chunks.empty()) break;
    query_.after_id = page.last_id;
    for (const storage::EventStore::TextChunk& chunk : page.chunks) append(chunk, chunks);
  }
  return chunks;
}

void LogReading::append(const storage::EventStore::TextChunk& chunk,
                        std::vector<v1::LogChunk>& to) const {
  std::uint64_t offset = chunk.offset;
  std::string_view text = chunk.text;
  if (const auto begin = tail_.begin.find(chunk.stream);
      begin != tail_.begin.end() && begin->second > offset) {
    const std::uint64_t before = std::min<std::uint64_t>(begin->second - offset, text.size());
    text.remove_prefix(before);
    offset += before;
  }
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, kPieceBytes);
    v1::LogChunk& message = to.emplace_back();
    message.mutable_stream()->set_job_id(chunk.stream.attempt.job.str());
    message.mutable_stream()->set_attempt(chunk.stream.attempt.number);
    message.mutable_stream()->set_rank(chunk.stream.rank);
    message.mutable_stream()->set_kind(static_cast<v1::StreamKind>(chunk.stream.kind));
    message.set_offset(offset);
    message.set_time_us(chunk.time_us);
    message.set_text(piece.data(), piece.size());
    text.remove_prefix(piece.size());
    offset += piece.size();
  }
}

}  // namespace lctl::services
