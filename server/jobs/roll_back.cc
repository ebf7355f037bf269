#include "server/jobs/roll_back.h"

#include <algorithm>

#include "server/jobs/job_record.h"

namespace lctl::jobs {
namespace {

// Of what one rank reports, and of a job's whole life: a launch carries all of it.
constexpr std::size_t kMaxSkipped = 4'096;

const v1::Finished* first_with(std::span<const std::optional<v1::Finished>> finished,
                               v1::Finished::Outcome outcome) {
  for (const auto& said : finished) {
    if (said && said->outcome() == outcome) return &*said;
  }
  return nullptr;
}

}  // namespace

const v1::Finished* roll_back_of(std::span<const std::optional<v1::Finished>> finished) {
  return first_with(finished, v1::Finished::OUTCOME_ROLL_BACK);
}

const v1::Finished* unreadable_of(std::span<const std::optional<v1::Finished>> finished) {
  return first_with(finished, v1::Finished::OUTCOME_UNREADABLE_CHECKPOINT);
}

void remember_skipped(const v1::Finished& said, std::vector<v1::BatchPlace>& skipped) {
  for (const v1::BatchPlace& place : said.skip_batches()) {
    const bool known = std::any_of(skipped.begin(), skipped.end(), [&](const auto& each) {
      return each.epoch() == place.epoch() && each.batch() == place.batch();
    });
    if (known) continue;
    if (skipped.size() == kMaxSkipped) skipped.erase(skipped.begin());
    skipped.push_back(place);
  }
}

int roll_backs_of(std::span<const v1::Attempt> attempts, int restarts) {
  int count = 0;
  for (auto it = attempts.rbegin(); it != attempts.rend(); ++it) {
    if (it->outcome() == outcome::kStopped) break;
    if (it->outcome() == outcome::kFailed && --restarts < 0) break;
    if (it->outcome() == outcome::kRolledBack) ++count;
  }
  return count;
}

}  // namespace lctl::jobs
