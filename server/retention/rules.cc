#include "server/retention/rules.h"

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

namespace lctl::retention {
namespace {

using storage::FinishedJob;

std::string age_text(Duration age) {
  const auto hours = std::chrono::floor<std::chrono::hours>(age).count();
  if (hours >= 48) return fmt::format("{} days", hours / 24);
  if (hours >= 2) return fmt::format("{} hours", hours);
  return fmt::format("{} minutes", std::chrono::floor<std::chrono::minutes>(age).count());
}

std::string size_text(std::int64_t bytes) {
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1 << 30));
}

// What is left of a job while the plan is made.
struct Left {
  const FinishedJob& job;
  bool whole = true;        // it does not go as a whole
  bool checkpoints = true;  // its spare ones stay
  bool logs = true;

  std::int64_t bytes_of(What what) const {
    switch (what) {
      case What::kCheckpoints:
        return whole && checkpoints ? job.spare_checkpoint_bytes : 0;
      case What::kLogs:
        return whole && logs ? job.output_bytes : 0;
      case What::kJob:
        break;
    }
    return whole ? job.bytes() - (checkpoints ? 0 : job.spare_checkpoint_bytes) -
                       (logs ? 0 : job.output_bytes)
                 : 0;
  }
};

class Plan {
 public:
  explicit Plan(std::span<const FinishedJob> jobs) {
    for (const FinishedJob& job : jobs) {
      if (!job.kept) left_.push_back({job});
    }
  }

  void apply_ages(const Rules& rules, WallTime now) {
    for (Left& left : left_) {
      const Duration age = now - from_unix_micros(left.job.finished_us);
      const auto rule = [&](What what, const std::optional<Duration>& keep, const char* option) {
        if (!keep || age <= *keep) return;
        // An empty job goes too; of checkpoints and logs there must be some.
        if (what != What::kJob && left.bytes_of(what) == 0) return;
        remove(left, what,
               fmt::format("it ended {} ago; {} is {}", age_text(age), option, age_text(*keep)));
      };
      rule(What::kJob, rules.keep_jobs, "--keep-finished-jobs");
      if (!left.whole) continue;
      rule(What::kCheckpoints, rules.keep_checkpoints, "--keep-checkpoints");
      rule(What::kLogs, rules.keep_logs, "--keep-logs");
    }
  }

  void apply_size(std::int64_t limit, std::int64_t store_bytes) {
    for (const What what : {What::kCheckpoints, What::kLogs, What::kJob}) {
      for (Left& left : left_) {
        if (store_bytes - freed_ <= limit) return;
        if (left.bytes_of(what) == 0) continue;
        remove(left, what,
               fmt::format("the store has {}; --max-store-size is {}", size_text(store_bytes),
                           size_text(limit)));
      }
    }
  }

  std::vector<Removal> take() { return std::move(removals_); }

 private:
  void remove(Left& left, What what, std::string reason) {
    const std::int64_t bytes = left.bytes_of(what);
    freed_ += bytes;
    removals_.push_back({.what = what,
                         .job = left.job.id,
                         .name = left.job.name,
                         .bytes = bytes,
                         .reason = std::move(reason)});
    if (what == What::kJob) left.whole = false;
    if (what == What::kCheckpoints) left.checkpoints = false;
    if (what == What::kLogs) left.logs = false;
  }

  std::vector<Left> left_;
  std::vector<Removal> removals_;
  std::int64_t freed_ = 0;
};

}  // namespace

const char* name_of(What what) {
  switch (what) {
    case What::kCheckpoints:
      return "checkpoints";
    case What::kLogs:
      return "logs";
    case What::kJob:
      break;
  }
  return "job";
}

std::vector<Removal> removals(const Rules& rules, std::span<const FinishedJob> jobs,
                              std::int64_t store_bytes, WallTime now) {
  Plan plan(jobs);
  plan.apply_ages(rules, now);
  if (rules.max_store_bytes > 0) plan.apply_size(rules.max_store_bytes, store_bytes);
  return plan.take();
}

}  // namespace lctl::retention
