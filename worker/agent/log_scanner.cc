#include "worker/agent/log_scanner.h"

#include <algorithm>
#include <utility>

#include "base/printable_line.h"

namespace lctl::agent {

LogScanner::LogScanner(const google::protobuf::RepeatedPtrField<v1::LogPolicy>& policies,
                       LogMatches known)
    : known_(std::move(known)) {
  for (const v1::LogPolicy& policy : policies) patterns_.emplace_back(policy.pattern());
}

std::uint64_t LogScanner::expected(v1::StreamKind kind) const {
  const auto found = streams_.find(kind);
  return found == streams_.end() ? 0 : found->second.next;
}

std::vector<int> LogScanner::scan(v1::StreamKind kind, std::uint64_t offset,
                                  std::string_view text) {
  std::vector<int> found;
  Stream& stream = streams_[kind];
  if (offset < stream.next) {
    const std::uint64_t seen = std::min<std::uint64_t>(stream.next - offset, text.size());
    text.remove_prefix(seen);
    offset += seen;
  } else if (offset > stream.next) {
    stream.line.clear();
  }
  if (text.empty()) return found;
  stream.next = offset + text.size();
  while (!text.empty()) {
    const std::size_t end = text.find_first_of("\r\n");
    append(stream.line, text.substr(0, end));
    if (end == std::string_view::npos) break;
    end_line(stream.line, found);
    text.remove_prefix(end + 1);
  }
  return found;
}

void LogScanner::append(std::string& line, std::string_view text) const {
  line += text.substr(0, kMaxLineBytes - line.size());
}

void LogScanner::end_line(std::string& line, std::vector<int>& found) {
  for (std::size_t i = 0; i < patterns_.size() && !line.empty(); ++i) {
    const int policy = static_cast<int>(i);
    if (known_.contains(policy) || !patterns_[i].is_in(line)) continue;
    known_.emplace(policy, printable_line(line));
    found.push_back(policy);
  }
  line.clear();
}

std::vector<int> LogScanner::end(v1::StreamKind kind) {
  std::vector<int> found;
  if (const auto stream = streams_.find(kind); stream != streams_.end()) {
    end_line(stream->second.line, found);
  }
  return found;
}

}  // namespace lctl::agent
