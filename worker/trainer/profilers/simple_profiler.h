// How often each action ran and how long it took: Lightning's SimpleProfiler.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/trainer/profilers/profiler.h"
#include "worker/trainer/profilers/profiling_clock.h"

namespace lctl {

// The report is Lightning's, character for character: a row for each action, the longest total
// first (without `extended`: the longest mean first). Actions nest, so shares add up to more than
// 100 %. Numbers go on over the runs of a trainer; shares are of the profiler's life.
// Costs two readings of the clock an action. Thread rule: one strand only (the training thread).
class SimpleProfiler final : public Profiler {
 public:
  struct Options {
    std::string dirpath;
    std::string filename;
    bool extended = true;  // with calls and shares
    ProfilingClock now = profiling_now;
  };

  SimpleProfiler() : SimpleProfiler(Options{}) {}
  explicit SimpleProfiler(Options options);

  // Throws std::invalid_argument when the action is running already.
  void start(const Action& action) override;
  // Throws std::invalid_argument when the action is not running.
  void stop(const Action& action) override;
  std::string summary() override;

 private:
  struct Record {
    const Action* action = nullptr;  // once it has ended for the first time
    std::int64_t started = -1;       // -1 = not running
    std::int64_t calls = 0;
    std::int64_t total = 0;  // nanoseconds
  };
  std::vector<Record> measured() const;  // in the order of their first ends
  std::string extended_table(std::vector<Record> rows) const;
  std::string short_table(std::vector<Record> rows) const;

  Options options_;
  std::int64_t born_;
  std::vector<Record> records_;     // by Action::index
  std::vector<std::size_t> order_;  // of first ends
};

}  // namespace lctl
