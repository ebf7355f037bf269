// Exceptions that say more than that the run failed: who started it acts on them (Finished in
// proto/lctl/v1/event.proto).
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace lctl {

// A batch of the training data, the same one on every rank.
struct BatchPlace {
  std::int64_t epoch = 0;
  std::int64_t batch = 0;  // batch_idx

  friend bool operator==(const BatchPlace&, const BatchPlace&) = default;
};

// Training went astray: it is to go on from a checkpoint with a smaller global_step than `before`,
// and without these batches. All ranks throw it at the same step.
class RollBackRequest : public std::runtime_error {
 public:
  RollBackRequest(const std::string& why, std::int64_t before, std::vector<BatchPlace> skip,
                  std::int64_t max_roll_backs)
      : std::runtime_error(why),
        before_(before),
        skip_(std::move(skip)),
        max_roll_backs_(max_roll_backs) {}

  std::int64_t before() const { return before_; }
  const std::vector<BatchPlace>& skip() const { return skip_; }
  std::int64_t max_roll_backs() const { return max_roll_backs_; }

 private:
  std::int64_t before_;
  std::vector<BatchPlace> skip_;
  std::int64_t max_roll_backs_;
};

// The file that this run was to go on from is no checkpoint.
class UnreadableCheckpoint : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace lctl
