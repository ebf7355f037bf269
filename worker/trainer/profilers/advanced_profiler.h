// What each action spent its time on: Lightning's AdvancedProfiler, natively.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "worker/trainer/profilers/call_stats.h"
#include "worker/trainer/profilers/profiler.h"
#include "worker/trainer/profilers/profiling_clock.h"

namespace lctl {

// The report has Lightning's form, a table in pstats' columns (ncalls, tottime, percall, cumtime,
// percall) for each action, sorted by cumtime. Lightning's rows are Python functions; here they are
// the action itself and the actions that ran inside it. tottime is cumtime without the actions
// inside. Costs two readings of the clock an action and a few additions for each action around it.
// Thread rule: one strand only (the training thread).
class AdvancedProfiler final : public Profiler {
 public:
  struct Options {
    std::string dirpath;
    std::string filename;
    // Rows of each table: an int counts them, a float below 1 is a share of them; 1.0 = all.
    std::variant<std::int64_t, double> line_count_restriction = 1.0;
    // Writes each action's table also as dirpath/<stage>-<filename>-<action>.prof, which Python's
    // pstats and its viewers read.
    bool dump_stats = false;
    ProfilingClock now = profiling_now;
  };

  AdvancedProfiler() : AdvancedProfiler(Options{}) {}
  explicit AdvancedProfiler(Options options);

  void start(const Action& action) override;
  // Throws std::invalid_argument when the action is not running.
  void stop(const Action& action) override;
  // Throws std::runtime_error when a .prof file cannot be written, or has no folder.
  std::string summary() override;
  void teardown() override;

 private:
  struct Running {
    const Action* action;
    std::int64_t started;
    std::int64_t inside = 0;  // nanoseconds of the actions that ended in it
  };
  CallTable& table_of(const Action& action);
  void dump(const CallTable& table);

  Options options_;
  std::vector<Running> running_;    // the innermost last
  std::vector<CallTable> tables_;   // by Action::index
  std::vector<std::size_t> order_;  // of first starts
};

}  // namespace lctl
