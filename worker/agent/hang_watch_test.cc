// With a clock of the test's own. The rank is this process.
#include "worker/agent/hang_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "worker/pulse/pulse.h"

namespace lctl::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ManualClock final : public Clock {
 public:
  WallTime wall_now() const override { return WallTime(now_.time_since_epoch()); }
  MonotonicTime monotonic_now() const override { return now_; }
  void advance(Duration by) { now_ += by; }

 private:
  MonotonicTime now_{std::chrono::hours(9)};
};

class HangWatchTest : public ::testing::Test {
 protected:
  HangWatchTest()
      : data_(std::filesystem::path(testing::TempDir()) /
              ("hang_watch_" +
               std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))),
        folder_(data_, kAttempt) {
    std::filesystem::remove_all(data_);
    std::filesystem::create_directories(folder_.rank(0));
    EXPECT_TRUE(pulse::keep(folder_.pulse(0).string()).ok());
    for (int i = 0; i < 20; ++i) {
      pulse::batch_begins(pulse::Phase::kTraining);
      pulse::batch_ends(i);
    }
    RankProcess self;
    self.rank = getpid();
    self.rank_start = process_start_time(getpid());
    watch_.add(kAttempt, 0, folder_, self, /*hang_after_ms=*/3'000);
  }
  // As the timer does, second by second.
  void pass(Duration time) {
    for (Duration done{}; done < time; done += seconds(1)) {
      clock_.advance(seconds(1));
      watch_.look_at_all();
    }
  }

  const AttemptId kAttempt{JobId("abcdefghij"), 1};
  const std::filesystem::path data_;
  const RunFolder folder_;
  ManualClock clock_;
  boost::asio::io_context io_;
  std::vector<v1::RankStalled> told_;
  HangWatch watch_{io_, clock_, [this](const v1::RankStalled& stall) { told_.push_back(stall); }};
};

TEST_F(HangWatchTest, StallAndItsEndAreToldOnce) {
  pass(seconds(2));
  EXPECT_TRUE(told_.empty());
  pass(seconds(5));
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_TRUE(told_[0].stalled());
  EXPECT_EQ(told_[0].silent_ms(), 3'000);
  pulse::batch_begins(pulse::Phase::kTraining);
  pass(seconds(1));
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_FALSE(told_[1].stalled());
  EXPECT_TRUE(told_[1].in_batch());
}

TEST_F(HangWatchTest, TimeInWhichTheDaemonDidNotRunCountsAgainstNobody) {
  pass(seconds(2));
  clock_.advance(std::chrono::hours(8));  // the machine slept
  watch_.look_at_all();
  pass(seconds(2));
  EXPECT_TRUE(told_.empty());
  pass(seconds(1));
  EXPECT_EQ(told_.size(), 1u);
}

TEST_F(HangWatchTest, RankThatHasEndedIsForgotten) {
  watch_.remove(kAttempt, 0);
  pass(seconds(10));
  watch_.tell_again();
  watch_.dump(kAttempt);
  EXPECT_TRUE(told_.empty());
}

}  // namespace
}  // namespace lctl::agent
