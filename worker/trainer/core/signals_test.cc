#include "worker/trainer/core/signals.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"

namespace lctl {
namespace {

class SignalsTest : public ::testing::Test {
 protected:
  SignalsTest() { signals::install(); }
  ~SignalsTest() override { signals::clear(); }
};

TEST_F(SignalsTest, WithoutASignalNothingEnds) {
  EXPECT_FALSE(signals::any_received());
  EXPECT_FALSE(signals::ends_run());
}

TEST_F(SignalsTest, SigtermEndsARunUnlessABoundaryIsToCome) {
  raise(SIGTERM);
  EXPECT_TRUE(signals::ends_run());
  signals::wait_for_boundary(true);
  EXPECT_TRUE(signals::any_received());
  EXPECT_FALSE(signals::ends_run());
  signals::wait_for_boundary(false);
  EXPECT_TRUE(signals::ends_run());
  EXPECT_THROW(signals::throw_received(), SigtermException);
}

TEST_F(SignalsTest, CtrlCEndsARunEvenThen) {
  signals::watch_interrupt(/*say=*/false);
  signals::wait_for_boundary(true);
  raise(SIGINT);
  EXPECT_TRUE(signals::ends_run());
  EXPECT_FALSE(signals::sigterm_received());
  EXPECT_THROW(signals::throw_received(), KeyboardInterrupt);
}

TEST(ConsoleTest, LinesOfARankAreSaidByAllRanksAndOthersByRankZero) {
  const auto said = [](int rank) {
    console::set_rank(rank);
    ::testing::internal::CaptureStderr();
    console::info("for all");
    console::info_of_rank("by itself");
    console::set_rank(0);
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(said(0), "for all\nby itself\n");
  EXPECT_EQ(said(8), "[rank: 8] by itself\n");
}

}  // namespace
}  // namespace lctl
