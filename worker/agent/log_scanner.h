// Looks for the patterns of a job's log policies in what a rank prints.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/pattern.h"
#include "proto/lctl/v1/ingest.pb.h"
#include "proto/lctl/v1/job.pb.h"

namespace lctl::agent {

// By the policy's index: the first line that its pattern was found in, printable.
using LogMatches = std::map<int, std::string>;

// Of one rank. Lines end at \n or \r; of a longer one the first 16 KiB count. Each policy is found
// once. Thread rule: caller locks.
class LogScanner {
 public:
  static constexpr std::size_t kMaxLineBytes = 16 << 10;

  // `known`: what was found before, and is not looked for again.
  LogScanner(const google::protobuf::RepeatedPtrField<v1::LogPolicy>& policies, LogMatches known);

  // There is something left to find.
  bool is_looking() const { return known_.size() < patterns_.size(); }
  const LogMatches& known() const { return known_; }

  // What the stream holds from `offset` on. Bytes that were seen already (they are sent again after
  // a reconnect) do not count; behind a gap a new line begins. Returns the policies that are found
  // now.
  std::vector<int> scan(v1::StreamKind kind, std::uint64_t offset, std::string_view text);

  // No more will come on the stream: a last line without an end is whole.
  std::vector<int> end(v1::StreamKind kind);

  // Where the next byte of the stream is expected; 0 = none was seen.
  std::uint64_t expected(v1::StreamKind kind) const;

 private:
  struct Stream {
    std::uint64_t next = 0;
    std::string line;  // begun
  };

  void append(std::string& line, std::string_view text) const;
  void end_line(std::string& line, std::vector<int>& found);

  std::vector<Pattern> patterns_;
  LogMatches known_;
  std::map<v1::StreamKind, Stream> streams_;
};

}  // namespace lctl::agent
