// One line that says how far training has come, and how it is drawn again and again.
#pragma once

#include <optional>
#include <ostream>
#include <string>

#include "base/clock.h"
#include "client/cli/terminal/look.h"
#include "proto/lctl/v1/job.pb.h"

namespace lctl::cli {

// Done share of the whole job, 0..1; empty when it has no known end.
std::optional<double> fraction_done(const v1::Progress& progress);

// Wall time until the end at the present rate; empty when it cannot be said.
std::optional<Duration> time_left(const v1::Progress& progress);

// "epoch 3/10  ━━━━━╸─────  57%  step 1214  34.1/s  0:12 left  train/loss 0.231", at most as wide
// as the look: metrics are left out first, then the bar gets shorter.
std::string progress_line(const v1::Progress& progress, const Look& look);

// The same without the bar, for output that is no terminal.
std::string plain_progress(const v1::Progress& progress);

// A last line that is redrawn in place, at most ten times a second. Whatever else is printed goes
// through print(), above it. Thread rule: caller locks.
class LiveLine {
 public:
  static constexpr Duration kInterval = std::chrono::milliseconds(100);

  // `out` and `clock` must outlive it.
  LiveLine(std::ostream& out, const Clock& clock) : out_(out), clock_(clock) {}
  ~LiveLine() { clear(); }
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;

  // Draws the text, or remembers it when the last drawing was a moment ago.
  void update(std::string text);
  // Prints a whole line (its '\n' is added) above the live one.
  void print(const std::string& line);
  // Removes the live line.
  void clear();

 private:
  void draw();

  std::ostream& out_;
  const Clock& clock_;
  std::string text_;
  std::string drawn_text_;
  bool shown_ = false;
  std::optional<MonotonicTime> drawn_;
};

}  // namespace lctl::cli
