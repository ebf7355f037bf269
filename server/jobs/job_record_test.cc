#include "server/jobs/job_record.h"

#include "gtest/gtest.h"

namespace lctl::jobs {
namespace {

using std::chrono::seconds;

TEST(DescribeExitTest, NamesSignalsAndCodes) {
  EXPECT_EQ(describe_exit(0), "exited normally");
  EXPECT_EQ(describe_exit(1), "exited with code 1");
  EXPECT_EQ(describe_exit(137), "was killed by SIGKILL (signal 9)");
  EXPECT_EQ(describe_exit(139), "was killed by SIGSEGV (signal 11)");
  EXPECT_EQ(describe_exit(255), "exited with code 255");
}

TEST(BackOffTest, StartsWithTheSecondAttemptAndDoublesToAMinute) {
  EXPECT_EQ(back_off(0), Duration::zero());
  EXPECT_EQ(back_off(1), Duration::zero());
  EXPECT_EQ(back_off(2), seconds(1));
  EXPECT_EQ(back_off(3), seconds(2));
  EXPECT_EQ(back_off(7), seconds(32));
  EXPECT_EQ(back_off(8), seconds(60));
  EXPECT_EQ(back_off(1'000'000), seconds(60));
}

TEST(NameOfTest, IsTheWordPeopleSee) {
  EXPECT_EQ(name_of(v1::JOB_STATE_QUEUED), "QUEUED");
  EXPECT_EQ(name_of(static_cast<v1::JobState>(77)), "UNSPECIFIED");
}

v1::Attempt failed(int number, const char* resumed_from, std::int64_t finished_us) {
  v1::Attempt attempt;
  attempt.set_number(number);
  attempt.set_outcome(std::string(outcome::kFailed));
  attempt.set_resumed_from_checkpoint(resumed_from);
  attempt.set_finished_us(finished_us);
  return attempt;
}

v1::Job queued_job() {
  v1::Job job;
  job.set_id("aaaaaaaaaa");
  job.set_state(v1::JOB_STATE_QUEUED);
  job.set_restarts(3);
  job.mutable_spec()->set_name("digits");
  job.mutable_progress()->set_global_step(7);
  return job;
}

const Moment kNow{from_unix_micros(100'000'000), MonotonicTime(Duration(5'000'000))};

TEST(RestoreTest, BackOffGoesOnWhereItWas) {
  // Three in a row from checkpoint b: 2 s after the last one's end, of which 500 ms have passed.
  const std::vector<v1::Attempt> attempts = {failed(1, "a", 1), failed(2, "b", 2),
                                             failed(3, "b", 3), failed(4, "b", 99'500'000)};
  const JobRecord record = restore(queued_job(), attempts, "b", kNow);
  EXPECT_EQ(record.attempts_without_progress, 3);
  EXPECT_EQ(record.not_before, kNow.monotonic + std::chrono::milliseconds(1500));
  EXPECT_EQ(record.spec->name(), "digits");
  EXPECT_FALSE(record.job.has_spec());
  EXPECT_EQ(record.progress.global_step(), 7);
}

TEST(RestoreTest, AClockThatWasSetBackDoesNotStretchThePause) {
  const std::vector<v1::Attempt> attempts = {failed(1, "", 1), failed(2, "", 900'000'000'000)};
  EXPECT_EQ(restore(queued_job(), attempts, "", kNow).not_before, kNow.monotonic + seconds(1));
}

TEST(RestoreTest, ANewerCheckpointEndsTheRow) {
  const std::vector<v1::Attempt> attempts = {failed(1, "", 1), failed(2, "", 99'999'999)};
  const JobRecord record = restore(queued_job(), attempts, "new", kNow);
  EXPECT_EQ(record.attempts_without_progress, 0);
  EXPECT_LE(record.not_before, kNow.monotonic);
}

TEST(RestoreTest, LostAttemptsNeitherCountNorBreakARow) {
  std::vector<v1::Attempt> attempts = {failed(1, "", 1), failed(2, "", 2), failed(3, "", 3)};
  attempts[1].set_outcome(std::string(outcome::kLost));
  EXPECT_EQ(restore(queued_job(), attempts, "", kNow).attempts_without_progress, 2);
}

TEST(RestoreTest, GangThatMakesRoomKeepsItsTime) {
  v1::Job job = queued_job();
  job.set_state(v1::JOB_STATE_RUNNING);
  v1::Attempt attempt;
  attempt.set_number(1);
  attempt.set_outcome(std::string(outcome::kPreempted));
  attempt.set_cause(v1::END_CAUSE_PREEMPTED);
  attempt.add_ranks()->set_node_id("n1");
  EXPECT_EQ(restore(job, std::vector{attempt}, "", kNow).stop_grace, seconds(300));
}

TEST(RestoreTest, LastFailureIsRememberedUnlessTheJobWasResumed) {
  v1::Attempt attempt = failed(2, "", 99'000'000);
  attempt.set_blamed_node("n1");
  JobRecord record = restore(queued_job(), std::vector{attempt}, "", kNow);
  ASSERT_TRUE(record.failure.has_value());
  EXPECT_EQ(record.failure->attempt, 2);
  EXPECT_TRUE(record.avoided.contains(NodeId{"n1"}));
  v1::Job resumed = queued_job();
  resumed.set_restarts(0);
  EXPECT_FALSE(restore(resumed, std::vector{attempt}, "", kNow).failure.has_value());
}

TEST(RestoreTest, AnEndingAttemptIsStoppedAgainWhenItsNodesComeBack) {
  v1::Job job = queued_job();
  job.set_state(v1::JOB_STATE_STOPPING);
  job.mutable_spec()->set_grace_ms(4'000);
  v1::Attempt attempt;
  attempt.set_number(1);
  attempt.add_ranks()->set_node_id("n1");
  const JobRecord record = restore(job, std::vector{attempt}, "", kNow);
  EXPECT_EQ(record.stop_grace, seconds(4));
  EXPECT_TRUE(record.launched.contains(NodeId{"n1"}));
}

}  // namespace
}  // namespace lctl::jobs
