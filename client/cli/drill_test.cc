// lctl drill: what it makes of what happens to the job.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "client/cli/drill_watch.h"
#include "client/cli/testing/program_fixture.h"

namespace lctl::cli {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

v1::Job job_at(int attempt, std::int64_t step, std::int64_t time_us,
               v1::JobState state = v1::JOB_STATE_RUNNING, std::string reason = "as ever") {
  v1::Job job;
  job.set_id("jjjjjjjjjj");
  job.set_state(state);
  job.set_attempt(attempt);
  job.set_reason(std::move(reason));
  job.mutable_progress()->set_global_step(step);
  job.mutable_progress()->set_time_us(time_us);
  return job;
}

v1::DrillResponse begun_at(std::int64_t step, std::int64_t duration_ms = 0) {
  v1::DrillResponse begun;
  *begun.mutable_job() = job_at(1, step, 100);
  begun.set_duration_ms(duration_ms);
  return begun;
}

TEST(DrillWatchTest, IsOverWhenTheNextAttemptIsBehindTheStepReached) {
  DrillWatch watch(begun_at(50));
  EXPECT_TRUE(watch.changed(job_at(1, 60, 110), milliseconds(10)));
  EXPECT_EQ(watch.times().noticed, std::nullopt);
  EXPECT_TRUE(
      watch.changed(job_at(1, 60, 110, v1::JOB_STATE_RUNNING, "drill: dead"), milliseconds(20)));
  EXPECT_TRUE(watch.changed(job_at(1, 60, 110, v1::JOB_STATE_QUEUED), milliseconds(30)));
  EXPECT_TRUE(watch.changed(job_at(2, 60, 110, v1::JOB_STATE_STARTING), milliseconds(40)));
  EXPECT_TRUE(watch.changed(job_at(2, 60, 110), milliseconds(50))) << "progress of attempt 1";
  EXPECT_TRUE(watch.changed(job_at(2, 41, 120), milliseconds(60)));
  EXPECT_TRUE(watch.changed(job_at(2, 60, 130), milliseconds(70)));
  EXPECT_FALSE(watch.changed(job_at(2, 61, 140), milliseconds(80)));
  EXPECT_EQ(watch.reached_step(), 60);
  EXPECT_EQ(watch.times().noticed, milliseconds(20));
  EXPECT_EQ(watch.times().training_again, milliseconds(60));
  EXPECT_EQ(watch.times().caught_up, milliseconds(80));
}

TEST(DrillWatchTest, FallBackTakesTwoAttempts) {
  DrillWatch watch(begun_at(50));
  EXPECT_TRUE(watch.changed(job_at(2, 50, 100, v1::JOB_STATE_STARTING), milliseconds(1)));
  EXPECT_TRUE(watch.changed(job_at(3, 50, 100), milliseconds(2)));
  EXPECT_FALSE(watch.changed(job_at(3, 51, 101), milliseconds(3)));
}

TEST(DrillWatchTest, FaultThatNobodyNoticesIsOverWhenTrainingGoesOnBehindItsTime) {
  DrillWatch watch(begun_at(50, /*duration_ms=*/100));
  EXPECT_TRUE(watch.changed(job_at(1, 55, 101), milliseconds(10)));
  EXPECT_TRUE(watch.changed(job_at(1, 60, 102), milliseconds(110)));
  EXPECT_TRUE(watch.changed(job_at(1, 60, 102), milliseconds(120)));
  EXPECT_FALSE(watch.changed(job_at(1, 61, 103), milliseconds(130)));
  EXPECT_EQ(watch.times().noticed, std::nullopt);
  EXPECT_EQ(watch.times().caught_up, milliseconds(130));
}

TEST(DrillWatchTest, EndOfTheJobIsTheEndOfTheDrill) {
  DrillWatch watch(begun_at(50));
  EXPECT_FALSE(watch.changed(job_at(1, 70, 110, v1::JOB_STATE_FAILED), milliseconds(10)));
  EXPECT_EQ(watch.times().caught_up, std::nullopt);
}

TEST(DrillLossesTest, PointsThatAreOnNoCurveAreLost) {
  const auto points = [](std::vector<std::int64_t> steps) {
    std::vector<v1::MetricPoint> all;
    for (const std::int64_t step : steps) all.emplace_back().set_step(step);
    return all;
  };
  EXPECT_EQ(lost_points(points({1, 2, 3, 2, 3}), points({1, 2, 3})), 0);
  EXPECT_EQ(lost_points(points({1, 2, 3, 3, 4}), points({1, 2})), 2);
}

TEST(DrillLossesTest, CheckpointsThatRetentionReplacedAreNotLost) {
  const auto one = [](const char* id, std::int64_t time_us, const char* damage = "") {
    v1::Checkpoint checkpoint;
    checkpoint.set_id(id);
    checkpoint.set_time_us(time_us);
    checkpoint.set_damage(damage);
    return checkpoint;
  };
  EXPECT_EQ(lost_checkpoints({one("a", 1), one("b", 2)}, {one("b", 2), one("c", 3)}), 0);
  EXPECT_EQ(lost_checkpoints({one("a", 1), one("b", 2)}, {one("a", 1)}), 1);
  EXPECT_EQ(lost_checkpoints({one("a", 1)}, {one("a", 1, "rotten")}), 1);
  EXPECT_EQ(lost_checkpoints({one("a", 1, "rotten")}, {one("a", 1, "rotten")}), 0);
}

class DrillTest : public ProgramTest {
 protected:
  DrillTest() {
    v1::Job job = make_job("k3fabcdefg", "digits", v1::JOB_STATE_RUNNING);
    job.set_reason("as ever");
    job.mutable_progress()->set_time_us(100);
    server_.put_job(job);
    v1::Attempt attempt;
    attempt.set_number(1);
    server_.put_attempt(job.id(), attempt);
    job_ = job;
  }
  // What happens to the job once the drill has been asked for.
  std::thread recovers() {
    return std::thread([this] {
      while (server_.calls("Watch") == 0) std::this_thread::yield();
      v1::Attempt attempt;
      attempt.set_number(2);
      attempt.set_resumed_from_checkpoint("c1");
      attempt.set_resumed_at_step(1200);
      server_.put_attempt(job_.id(), attempt);
      v1::Transition row;
      row.set_time_us(FakeClock::kNow + 250'000);
      row.set_attempt(1);
      row.set_to(v1::JOB_STATE_QUEUED);
      row.set_reason("attempt 1 was lost: drill: rank 0 was killed");
      server_.put_transition(job_.id(), row);
      for (const std::int64_t step : {1214, 1201, 1230}) {
        job_.set_attempt(2);
        job_.mutable_progress()->set_global_step(step);
        job_.mutable_progress()->set_time_us(step == 1214 ? 100 : 200 + step);
        server_.put_job(job_);
        // Each is to be seen.
        std::this_thread::sleep_for(milliseconds(50));
      }
    });
  }

  v1::Job job_;
};

TEST_F(DrillTest, ReportsWhatFollowedAndThatNothingWasLost) {
  std::thread world = recovers();
  const Outcome outcome = run({"drill", "digits", "kill-rank", "--json"});
  world.join();
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto report = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(report["fault"], "kill-rank");
  EXPECT_EQ(report["node"], "node-a");
  EXPECT_EQ(report["steps_repeated"], 14);
  EXPECT_EQ(report["resumed_from_checkpoint"], "c1");
  EXPECT_EQ(report["points_lost"], 0);
  EXPECT_EQ(report["nothing_lost"], true);
  ASSERT_EQ(report["decisions"].size(), 1u);
  EXPECT_EQ(report["decisions"][0]["after_s"], 0.25);
  ASSERT_EQ(server_.drills().size(), 1u);
  EXPECT_EQ(server_.drills()[0].fault(), v1::FAULT_KIND_KILL_RANK);
}

TEST_F(DrillTest, TextSaysTheSame) {
  std::thread world = recovers();
  const Outcome outcome = run({"drill", "digits", "partition", "--for", "0", "--rank", "0"});
  world.join();
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("attempt 2, from checkpoint c1 at step 1,200"));
  EXPECT_THAT(outcome.out, HasSubstr("drill: rank 0 was killed"));
  EXPECT_THAT(outcome.out, HasSubstr("points lost"));
}

TEST_F(DrillTest, RefusalsAreTheServersAndUnknownFaultsTheClients) {
  job_.set_state(v1::JOB_STATE_QUEUED);
  server_.put_job(job_);
  const Outcome refused = run({"drill", "digits", "hang", "--for", "5", "--force"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("cannot be drilled"));
  ASSERT_EQ(server_.drills().size(), 1u);
  EXPECT_EQ(server_.drills()[0].duration_ms(), 5000);
  EXPECT_TRUE(server_.drills()[0].force());
  EXPECT_EQ(run({"drill", "digits", "flood"}).code, 2);
}

TEST_F(DrillTest, CtrlCLeavesTheJobAlone) {
  interrupts_.press();
  const Outcome outcome = run({"drill", "digits", "kill-rank"});
  EXPECT_EQ(outcome.code, 130);
  EXPECT_THAT(outcome.err, HasSubstr("The job goes on."));
  EXPECT_EQ(server_.calls("Stop"), 0);
}

}  // namespace
}  // namespace lctl::cli
