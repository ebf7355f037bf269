#include "server/jobs/restart_point.h"

#include <cmath>

#include "gtest/gtest.h"

namespace lctl::jobs {
namespace {

JobRecord record_of(v1::RestartFrom from, std::string_view outcome, int restarts) {
  JobRecord record;
  v1::JobSpec spec;
  spec.set_restart_from(from);
  record.spec = std::make_shared<const v1::JobSpec>(spec);
  record.job.set_attempt(1);
  record.job.set_restarts(restarts);
  record.attempt.set_number(1);
  record.attempt.set_outcome(std::string(outcome));
  return record;
}

TEST(RestartPointTest, BestIsForTheAttemptThatFollowsAFailureOnly) {
  using enum RestartPoint;
  EXPECT_EQ(restart_point(record_of(v1::RESTART_FROM_LAST, outcome::kFailed, 1)), kNewest);
  EXPECT_EQ(restart_point(record_of(v1::RESTART_FROM_BEST, outcome::kFailed, 1)), kBest);
  EXPECT_EQ(restart_point(record_of(v1::RESTART_FROM_BEST, outcome::kFailed, 0)), kNewest)
      << "resumed by the user";
  EXPECT_EQ(restart_point(record_of(v1::RESTART_FROM_BEST, outcome::kPreempted, 1)), kNewest);
  EXPECT_EQ(restart_point(record_of(v1::RESTART_FROM_BEST, outcome::kLost, 1)), kNewest);
  EXPECT_EQ(restart_point(record_of(v1::RESTART_FROM_NONE, outcome::kPreempted, 0)), kBeginning);
  JobRecord first = record_of(v1::RESTART_FROM_LAST, "", 0);
  first.job.set_attempt(0);
  EXPECT_EQ(restart_point(first), kBeginning);
}

storage::CheckpointRow scored(const char* id, const char* monitor, v1::MonitorMode mode,
                              double score) {
  storage::CheckpointRow row{.id = CheckpointId(id)};
  row.written.set_kind(v1::CHECKPOINT_KIND_MODEL);
  row.written.set_monitor(monitor);
  row.written.set_mode(mode);
  row.written.set_score(score);
  return row;
}

std::string best(const std::vector<storage::CheckpointRow>& rows) {
  const storage::CheckpointRow* row = best_checkpoint(rows);
  return row == nullptr ? "none" : row->id.str();
}

TEST(BestCheckpointTest, IsTheBestByItsMetricAndTheNewestOfEqualOnes) {
  const auto min = v1::MONITOR_MODE_MIN;
  EXPECT_EQ(
      best({scored("a", "loss", min, 2), scored("b", "loss", min, 1), scored("c", "loss", min, 3)}),
      "b");
  EXPECT_EQ(best({scored("a", "acc", v1::MONITOR_MODE_MAX, 2),
                  scored("b", "acc", v1::MONITOR_MODE_MAX, 1)}),
            "a");
  EXPECT_EQ(best({scored("a", "loss", min, 1), scored("b", "loss", min, 1)}), "b");
  EXPECT_EQ(best({scored("a", "loss", min, 5), scored("b", "loss", min, NAN)}), "a");
  EXPECT_EQ(best({scored("a", "acc", min, 0), scored("b", "loss", min, 9)}), "b")
      << "the metric of the newest one counts";
}

TEST(BestCheckpointTest, DamagedAndIneligibleOnesDoNotCount) {
  storage::CheckpointRow damaged = scored("d", "loss", v1::MONITOR_MODE_MIN, 0);
  damaged.damage = "a chunk is missing";
  storage::CheckpointRow later = scored("l", "loss", v1::MONITOR_MODE_MIN, 1);
  later.written.set_global_step(9);
  const storage::CheckpointRow good = scored("g", "loss", v1::MONITOR_MODE_MIN, 5);
  EXPECT_EQ(best({good, later, damaged}), "l");
  JobRecord record = record_of(v1::RESTART_FROM_BEST, outcome::kRolledBack, 0);
  record.roll_back_before = 9;
  EXPECT_EQ(best_checkpoint(std::vector{later, damaged}, eligible(record)), nullptr);
  record.roll_back_before.reset();
  record.passed_over = {"l"};
  const std::vector both = {good, later};
  EXPECT_EQ(best_checkpoint(both, eligible(record))->id.str(), "g");
}

TEST(BestCheckpointTest, CopiesAndRecoveryCheckpointsDoNotCount) {
  storage::CheckpointRow last = scored("last", "loss", v1::MONITOR_MODE_MIN, 0);
  last.written.set_is_last(true);
  storage::CheckpointRow recovery = scored("r", "", v1::MONITOR_MODE_UNSPECIFIED, 0);
  recovery.written.set_kind(v1::CHECKPOINT_KIND_RECOVERY);
  EXPECT_EQ(best({last, recovery}), "none");
  EXPECT_EQ(best({scored("a", "loss", v1::MONITOR_MODE_MIN, 7), last, recovery}), "a");
}

}  // namespace
}  // namespace lctl::jobs
