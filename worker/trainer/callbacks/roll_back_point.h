// Where a callback that finds training astray wants it to go back to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "worker/trainer/core/last_words.h"

namespace lctl {

// Remembers the batch that is being trained on and the one before it: either may have spoiled the
// parameters, so both are left out by who goes on, from before the first of them.
// Thread rule: one strand only (the training thread).
class RollBackPoint {
 public:
  // At the start of each batch; `step` is the global_step before it.
  void begin_batch(std::int64_t epoch, std::int64_t batch_idx, std::int64_t step) {
    if (current_) previous_ = current_;
    current_ = Batch{{epoch, batch_idx}, step};
  }

  [[noreturn]] void request(const std::string& why, std::int64_t max_roll_backs) const {
    std::vector<BatchPlace> skip;
    if (previous_) skip.push_back(previous_->place);
    if (current_) skip.push_back(current_->place);
    const std::int64_t step = previous_ ? previous_->step : current_ ? current_->step : 0;
    throw RollBackRequest(why, step + 1, std::move(skip), max_roll_backs);
  }

 private:
  struct Batch {
    BatchPlace place;
    std::int64_t step = 0;
  };
  std::optional<Batch> previous_;
  std::optional<Batch> current_;
};

}  // namespace lctl
