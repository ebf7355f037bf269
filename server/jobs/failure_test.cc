#include "server/jobs/failure.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::jobs {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

v1::Finished said(v1::Finished::Outcome outcome) {
  v1::Finished finished;
  finished.set_outcome(outcome);
  return finished;
}

TEST(CauseOfExitTest, IsTheUsersTheInfrastructuresOrTheProgramsFault) {
  const v1::Finished bad_spec = said(v1::Finished::OUTCOME_BAD_SPEC);
  const v1::Finished failed = said(v1::Finished::OUTCOME_FAILED);
  EXPECT_EQ(cause_of_exit(0, nullptr), v1::END_CAUSE_UNSPECIFIED);
  EXPECT_EQ(cause_of_exit(1, &bad_spec), v1::END_CAUSE_USER);
  EXPECT_EQ(cause_of_exit(2, nullptr), v1::END_CAUSE_USER);
  EXPECT_EQ(cause_of_exit(2, &failed), v1::END_CAUSE_PROGRAM) << "its trainer knows better";
  EXPECT_EQ(cause_of_exit(75, nullptr), v1::END_CAUSE_INFRASTRUCTURE);
  EXPECT_EQ(cause_of_exit(137, nullptr), v1::END_CAUSE_INFRASTRUCTURE);
  EXPECT_EQ(cause_of_exit(135, nullptr), v1::END_CAUSE_INFRASTRUCTURE);
  EXPECT_EQ(cause_of_exit(137, &failed), v1::END_CAUSE_PROGRAM);
  EXPECT_EQ(cause_of_exit(139, nullptr), v1::END_CAUSE_PROGRAM);
  EXPECT_EQ(cause_of_exit(1, nullptr), v1::END_CAUSE_PROGRAM);
}

TEST(WithoutNumbersTest, NumbersAndAddressesDoNotTellWordsApart) {
  EXPECT_EQ(without_numbers("step 1200: bad 0x7f3aB at 12.5"), "step #: bad # at #.#");
  EXPECT_EQ(without_numbers("no 0xzz"), "no #zz");
  EXPECT_EQ(without_numbers(""), "");
}

Failure crash(std::string words = "rank # failed: out of range") {
  return {.attempt = 1,
          .cause = v1::END_CAUSE_PROGRAM,
          .exit_code = 1,
          .words = std::move(words),
          .explained = true,
          .lasted = seconds(3)};
}

Failure killed(std::int64_t step) {
  return {.attempt = 1,
          .cause = v1::END_CAUSE_INFRASTRUCTURE,
          .exit_code = 137,
          .explained = true,
          .step = step,
          .lasted = minutes(60)};
}

TEST(WhyNotAgainTest, TwoCrashesInTheSameWordsWithoutACheckpointAreALoop) {
  EXPECT_THAT(why_not_again(crash(), crash(), true), HasSubstr("a crash loop, not tried again"));
  EXPECT_EQ(why_not_again(crash(), crash(), false), "") << "it has left a checkpoint";
  EXPECT_EQ(why_not_again(crash(), crash("rank # failed: lost"), true), "");
  Failure slow = crash();
  slow.lasted = minutes(3);
  EXPECT_EQ(why_not_again(slow, crash(), true), "");
  Failure other_code = crash();
  other_code.exit_code = 3;
  EXPECT_EQ(why_not_again(crash(), other_code, true), "");
  Failure silent = crash();
  silent.explained = false;
  EXPECT_EQ(why_not_again(silent, silent, true), "") << "nothing says that it was the same";
}

TEST(WhyNotAgainTest, TwoKillsAtTheSameStepAreWantOfMemory) {
  EXPECT_THAT(why_not_again(killed(1200), killed(1207), false),
              HasSubstr("so was attempt 1 at about the same place (steps 1200 and 1207): not tried "
                        "again; give it more memory"));
  EXPECT_EQ(why_not_again(killed(1200), killed(1300), true), "");
  EXPECT_NE(why_not_again(killed(0), killed(0), true), "") << "both while they started";
  EXPECT_EQ(why_not_again(crash(), killed(0), true), "");
  Failure bus_error = killed(0);
  bus_error.exit_code = 135;
  EXPECT_EQ(why_not_again(bus_error, bus_error, true), "");
}

v1::Attempt attempt(int number, const char* outcome, std::int64_t finished_us = 5'000'000) {
  v1::Attempt made;
  made.set_number(number);
  made.set_outcome(outcome);
  made.set_started_us(2'000'000);
  made.set_finished_us(finished_us);
  made.set_reason("rank 1 exited with code 7: 3 bad");
  made.set_cause(v1::END_CAUSE_PROGRAM);
  made.set_culprit(1);
  made.set_ended_at_step(12);
  made.add_ranks();
  v1::RankStatus* rank = made.add_ranks();
  rank->set_exit_code(7);
  rank->set_message("3 bad");
  return made;
}

TEST(NewestFailureTest, LooksPastAttemptsThatSayNothing) {
  const std::vector<v1::Attempt> attempts = {attempt(1, "failed"), attempt(2, "lost"),
                                             attempt(3, "preempted"), attempt(4, "", 0)};
  const auto failure = newest_failure(attempts);
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->attempt, 1);
  EXPECT_EQ(failure->exit_code, 7);
  EXPECT_EQ(failure->words, "rank # exited with code #: # bad");
  EXPECT_TRUE(failure->explained);
  EXPECT_EQ(failure->step, 12);
  EXPECT_EQ(failure->lasted, seconds(3));
  EXPECT_FALSE(newest_failure(std::vector{attempt(1, "failed"), attempt(2, "stopped")}));
  EXPECT_FALSE(newest_failure({}));
}

}  // namespace
}  // namespace lctl::jobs
