// What a learning rate search has found.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace lctl {

// Smoothed losses by learning rate, in the order of the steps. Thread rule: caller locks.
struct LrFinder {
  std::vector<double> lr;
  std::vector<double> loss;  // NaN where training_step gave none

  // The rate at which the loss falls fastest, among the points without the first `skip_begin` and
  // the last `skip_end` and those that are not finite. Says why and gives none when fewer than two
  // are left (with skip_end 0 none is, as in Python's list[a:-0]).
  std::optional<double> suggestion(std::int64_t skip_begin = 10, std::int64_t skip_end = 1) const;
};

}  // namespace lctl
