#include "worker/agent/stall_watch.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

namespace lctl::agent {
namespace {

using pulse::Phase;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// A rank, and a daemon that looks once a second.
class StallWatchTest : public ::testing::Test {
 protected:
  void use(std::int64_t hang_after_ms) { watch_ = StallWatch(hang_after_ms); }

  void enter(Phase phase) { page_.phase = static_cast<std::uint32_t>(phase); }
  void pass(Duration time) {
    const MonotonicTime until = now_ + time;
    for (; next_look_ <= until; next_look_ += seconds(1)) {
      now_ = next_look_;
      look();
    }
    now_ = until;
  }
  void look() {
    watch_.look(now_, page_);
    ever_stalled_ = ever_stalled_ || watch_.stalled(now_);
  }
  // `count` batches that take so long each.
  void batches(int count, Duration each) {
    for (int i = 0; i < count; ++i) {
      pass(each);
      ++page_.beats;
    }
  }
  // How long it takes from now on to be found, when nothing comes any more.
  std::optional<Duration> found_after(Duration at_most) {
    const MonotonicTime begun = now_;
    while (now_ - begun < at_most) {
      pass(seconds(1));
      if (watch_.stalled(now_)) return now_ - begun;
    }
    return std::nullopt;
  }

  StallWatch watch_{0};
  pulse::Page page_;
  MonotonicTime now_{hours(5)};
  MonotonicTime next_look_ = now_;
  bool ever_stalled_ = false;
};

TEST_F(StallWatchTest, HangOfFastStepsIsFoundInLessThanFiftySeconds) {
  enter(Phase::kTraining);
  batches(1000, milliseconds(20));
  const auto found = found_after(hours(1));
  ASSERT_TRUE(found.has_value());
  EXPECT_GE(*found, seconds(44));
  EXPECT_LE(*found, seconds(47));
  EXPECT_FALSE(watch_.limit() > seconds(45));
}

TEST_F(StallWatchTest, BatchesOfMinutesAreNoHang) {
  enter(Phase::kTraining);
  batches(6, minutes(4));
  batches(3, minutes(30));  // it has become slower
  EXPECT_FALSE(ever_stalled_);
  const auto found = found_after(hours(10));
  ASSERT_TRUE(found.has_value());
  EXPECT_GE(*found, minutes(299));
}

TEST_F(StallWatchTest, NothingIsKnownOfTheFirstBatches) {
  enter(Phase::kTraining);
  batches(2, milliseconds(5));
  pass(minutes(9));
  EXPECT_FALSE(ever_stalled_);
  pass(minutes(2));
  EXPECT_TRUE(ever_stalled_);
}

TEST_F(StallWatchTest, EachPhaseHasItsOwnPatience) {
  pass(minutes(29));  // data is fetched, the other ranks wait
  EXPECT_FALSE(ever_stalled_);
  enter(Phase::kTraining);
  batches(100, milliseconds(100));
  for (const Phase phase : {Phase::kBetween, Phase::kSaving, Phase::kEnding}) {
    enter(phase);
    pass(minutes(9));
    EXPECT_FALSE(ever_stalled_) << pulse::name_of(phase);
  }
  enter(Phase::kValidating);
  batches(2, seconds(40));
  EXPECT_FALSE(ever_stalled_);
  enter(Phase::kBetween);
  const auto found = found_after(hours(1));
  ASSERT_TRUE(found.has_value());
  EXPECT_LE(*found, minutes(11));
}

TEST_F(StallWatchTest, PauseBetweenPhasesIsNotThePaceOfOne) {
  enter(Phase::kTraining);
  batches(100, milliseconds(100));
  for (int epoch = 0; epoch < 3; ++epoch) {
    enter(Phase::kBetween);
    pass(minutes(8));
    enter(Phase::kTraining);
    batches(100, milliseconds(100));
  }
  EXPECT_FALSE(ever_stalled_);
  EXPECT_EQ(watch_.limit(), seconds(45));
}

TEST_F(StallWatchTest, SlowPauseIsForgottenAfterAWhile) {
  enter(Phase::kTraining);
  batches(10, milliseconds(100));
  batches(1, seconds(40));
  pass(seconds(1));
  EXPECT_GE(*watch_.limit(), seconds(390));
  batches(3 * 3600, seconds(1));
  EXPECT_EQ(watch_.limit(), seconds(45));
}

TEST_F(StallWatchTest, CollectivesAreSignsOfLifeToo) {
  enter(Phase::kTraining);
  batches(10, seconds(1));
  for (int i = 0; i < 10; ++i) {
    pass(seconds(30));
    ++page_.begun;
  }
  EXPECT_FALSE(ever_stalled_);
}

TEST_F(StallWatchTest, WrittenStacksAreNoProgress) {
  enter(Phase::kTraining);
  batches(100, milliseconds(100));
  pass(seconds(46));
  EXPECT_TRUE(watch_.stalled(now_));
  ++page_.dumps;
  pass(seconds(1));
  EXPECT_TRUE(watch_.stalled(now_));
}

TEST_F(StallWatchTest, JobsOwnTimeReplacesThePaceAndLengthensTheRest) {
  use(3'000);
  enter(Phase::kTraining);
  pass(seconds(2));
  EXPECT_FALSE(ever_stalled_);
  pass(seconds(2));
  EXPECT_TRUE(ever_stalled_);
  enter(Phase::kSaving);
  look();
  EXPECT_EQ(watch_.limit(), minutes(10));
  use(7'200'000);
  enter(Phase::kTraining);
  look();
  EXPECT_EQ(watch_.limit(), hours(2));
  enter(Phase::kStarting);
  look();
  EXPECT_EQ(watch_.limit(), hours(2));
}

TEST_F(StallWatchTest, NeverMeansNever) {
  use(-1);
  enter(Phase::kTraining);
  batches(100, milliseconds(10));
  pass(hours(100));
  EXPECT_FALSE(ever_stalled_);
  EXPECT_EQ(watch_.limit(), std::nullopt);
}

TEST_F(StallWatchTest, TimeInWhichNobodyLookedDoesNotCount) {
  enter(Phase::kTraining);
  batches(100, milliseconds(100));
  now_ += hours(8);  // the machine slept
  next_look_ = now_;
  watch_.start_anew(now_);
  pass(seconds(40));
  EXPECT_FALSE(ever_stalled_);
  pass(seconds(10));
  EXPECT_TRUE(ever_stalled_) << "and it does not move after that either";
}

TEST_F(StallWatchTest, ItMovesAgain) {
  enter(Phase::kTraining);
  batches(100, milliseconds(100));
  pass(seconds(50));
  EXPECT_TRUE(watch_.stalled(now_));
  batches(1, milliseconds(1));
  look();
  EXPECT_FALSE(watch_.stalled(now_));
}

// Whatever the pauses are: a rank is never taken for hung while none is longer than the rule allows
// for those of the last hour; and when it does stop, it is found within that time.
RC_GTEST_FIXTURE_PROP(StallWatchTest, NeverWithinTheRuleAlwaysBeyondIt, ()) {
  enter(Phase::kTraining);
  struct Pause {
    MonotonicTime end;
    Duration length;
  };
  std::vector<Pause> pauses;
  const auto longest_since = [&](MonotonicTime time) {
    Duration longest{};
    for (const Pause& each : pauses) {
      if (each.end >= time) longest = std::max(longest, each.length);
    }
    return longest;
  };
  const auto make = [&](Duration length) {
    batches(1, length);
    pauses.push_back({now_, length});
  };
  for (const int ms : *rc::gen::container<std::vector<int>>(10, rc::gen::inRange(1, 60'000))) {
    make(milliseconds(ms));
  }
  RC_ASSERT(!ever_stalled_);
  for (const int ms : *rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 3'000'000))) {
    // What is seen once a second is right to a second.
    const Duration known = longest_since(now_ - hours(1) + seconds(2)) - seconds(1);
    const Duration allowed = std::max<Duration>(seconds(45), 10 * known) - seconds(2);
    make(std::min<Duration>(milliseconds(ms), allowed));
    RC_ASSERT(!ever_stalled_);
  }
  const Duration longest = longest_since(MonotonicTime{}) + seconds(1);
  const auto found = found_after(hours(100));
  RC_ASSERT(found.has_value());
  RC_ASSERT(*found <= std::max<Duration>(seconds(45), 10 * longest) + seconds(2));
}

}  // namespace
}  // namespace lctl::agent
