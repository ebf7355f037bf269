#include "server/services/last_lines.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/printable_line.h"
#include "server/services/log_reading.h"

namespace lctl::services {
namespace {

constexpr std::size_t kLines = 5;
constexpr std::int64_t kTailBytes = 4096;
constexpr int kAttempts = 3;  // each costs a look at its output

struct Tail {
  std::string text;
  bool cut = false;
};

absl::StatusOr<std::vector<std::string>> read_last_lines(const storage::EventStore& store,
                                                         const JobId& job, int attempt, int rank) {
  v1::GetLogsRequest request;
  request.set_attempt(attempt);
  request.set_rank(rank);
  request.set_tail_bytes(kTailBytes);
  LCTL_ASSIGN_OR_RETURN(LogReading reading, LogReading::begin(store, job, request));
  std::map<v1::StreamKind, Tail> tails;
  while (true) {
    LCTL_ASSIGN_OR_RETURN(const std::vector<v1::LogChunk> chunks, reading.next());
    if (chunks.empty()) break;
    for (const v1::LogChunk& chunk : chunks) {
      Tail& tail = tails[chunk.stream().kind()];
      if (tail.text.empty()) tail.cut = chunk.offset() > 0;
      tail.text += chunk.text();
    }
  }
  for (const v1::StreamKind kind : {v1::STREAM_KIND_STDERR, v1::STREAM_KIND_STDOUT}) {
    auto lines = last_lines_of(tails[kind].text, tails[kind].cut, kLines);
    if (!lines.empty()) return lines;
  }
  return std::vector<std::string>();
}

}  // namespace

std::vector<std::string> last_lines_of(std::string_view text, bool cut, std::size_t count) {
  std::vector<std::string> lines;  // newest first
  while (!text.empty() && lines.size() < count) {
    const std::size_t before = text.find_last_of("\r\n");
    const bool first = before == std::string_view::npos;
    if (first && cut && !lines.empty()) break;
    std::string line = printable_line(first ? text : text.substr(before + 1));
    if (line.find_first_not_of(' ') != std::string::npos) lines.push_back(std::move(line));
    text = first ? std::string_view() : text.substr(0, before);
  }
  std::reverse(lines.begin(), lines.end());
  return lines;
}

absl::Status add_last_lines(const storage::EventStore& store, const JobId& job,
                            google::protobuf::RepeatedPtrField<v1::Attempt>& attempts) {
  int read = 0;
  for (auto attempt = attempts.rbegin(); attempt != attempts.rend() && read < kAttempts;
       ++attempt) {
    if (attempt->outcome() != "failed" || !attempt->has_culprit()) continue;
    ++read;
    LCTL_ASSIGN_OR_RETURN(const std::vector<std::string> lines,
                          read_last_lines(store, job, attempt->number(), attempt->culprit()));
    attempt->mutable_last_lines()->Assign(lines.begin(), lines.end());
  }
  return absl::OkStatus();
}

}  // namespace lctl::services
