// Captured output of many ranks as lines on one screen.
#pragma once

#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "client/cli/terminal/look.h"
#include "proto/lctl/v1/tracking.pb.h"

namespace lctl::cli {

// Puts the bytes of each stream together to whole lines and prints them, each with its origin in
// front when there are several. On a terminal a line may carry colours but nothing else that
// controls it, and of a line that was redrawn with '\r' the last drawing is shown; elsewhere the
// bytes go out as they came. Thread rule: caller locks.
class LogPrinter {
 public:
  enum class Origin { kNone, kRank, kAttemptAndRank };

  LogPrinter(std::ostream& out, const Look& look, Origin origin)
      : out_(out), look_(look), origin_(origin) {}

  // Keeps only the last `lines` of each stream back, until release().
  void hold_last(std::size_t lines) { held_ = lines; }
  // Prints what was held; from now on lines are printed as they come.
  void release();

  // Bytes of a stream that were taken before are left out. False: the output is closed.
  bool take(const v1::LogChunk& chunk);
  // Prints last lines that have no end yet.
  void finish();

 private:
  using Key = std::tuple<int, int, int>;  // attempt, rank, kind
  struct Stream {
    std::string open_line;
    std::uint64_t next = 0;
    std::vector<std::string> held;
    bool cut_start = false;  // the first line began before what the server sent
  };

  void take_text(const Key& key, Stream& stream, std::string_view text);
  void take_line(const Key& key, Stream& stream, std::string line);
  void print(const Key& key, std::string_view line);

  std::ostream& out_;
  const Look look_;
  const Origin origin_;
  std::size_t held_ = 0;
  std::map<Key, Stream> streams_;
};

// A line for a terminal: its last drawing, with colours and no other control sequence.
std::string terminal_line(std::string_view line);

}  // namespace lctl::cli
