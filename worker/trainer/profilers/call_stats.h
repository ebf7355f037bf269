// Calls and times in the forms of Python's pstats: as a table of text, and as a .prof file.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "worker/trainer/profilers/profiler.h"

namespace lctl {

// One row: what one action cost inside another. Times in nanoseconds.
struct CallStats {
  const Action* action = nullptr;
  std::int64_t calls = 0;
  std::int64_t total = 0;       // tottime: without the actions inside
  std::int64_t cumulative = 0;  // cumtime
};

// What happened inside one action, itself included. Thread rule: caller locks.
class CallTable {
 public:
  explicit CallTable(const Action* owner = nullptr) : owner_(owner) {}
  const Action* owner() const { return owner_; }

  void add(const Action& action, std::int64_t total, std::int64_t cumulative);

  // pstats' print_stats: by cumtime; `rows` as AdvancedProfiler's line_count_restriction.
  std::string text(const std::variant<std::int64_t, double>& rows) const;
  // pstats' dump_stats: a dictionary in Python's marshal format (version 2), to be read with
  // pstats.Stats(path).
  std::string marshalled() const;

 private:
  const Action* owner_;
  std::vector<CallStats> rows_;         // in the order of first ends
  std::vector<std::int32_t> by_index_;  // Action::index → row, -1 = none
};

}  // namespace lctl
