#include "worker/agent/measuring/gpu_judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace lctl::agent {
namespace {

using ::testing::HasSubstr;

using Xids = std::vector<std::uint64_t>;

TEST(GpuJudgeTest, SoundCardMayBeUsed) {
  GpuJudge judge;
  EXPECT_EQ(judge.judge({}, {}), "");
  EXPECT_EQ(
      judge.judge({.uncorrected_errors = 0, .temperature_celsius = 60, .slowdown_celsius = 90}, {}),
      "");
}

TEST(GpuJudgeTest, XidErrorOfTheHardwareStaysAFault) {
  GpuJudge judge;
  EXPECT_EQ(judge.judge({}, Xids{79}), "Xid 79: fell off the bus");
  EXPECT_EQ(judge.judge({}, Xids{48}), "Xid 79: fell off the bus");  // the first one is the cause
  EXPECT_EQ(judge.judge({}, {}), "Xid 79: fell off the bus");
}

TEST(GpuJudgeTest, XidErrorsOfApplicationsAreTheirOwn) {
  GpuJudge judge;
  EXPECT_EQ(judge.judge({}, Xids{13, 31, 43, 45, 68, 109}), "");
  EXPECT_EQ(judge.judge({}, Xids{31, 140}), "Xid 140");
}

TEST(GpuJudgeTest, OnlyNewMemoryErrorsCount) {
  GpuJudge judge;
  EXPECT_EQ(judge.judge({.uncorrected_errors = 3}, {}), "");
  EXPECT_EQ(judge.judge({}, {}), "");  // not said this time
  EXPECT_EQ(judge.judge({.uncorrected_errors = 3}, {}), "");
  EXPECT_THAT(judge.judge({.uncorrected_errors = 5}, {}), HasSubstr("2 new memory errors"));
  EXPECT_THAT(judge.judge({.uncorrected_errors = 5}, {}), HasSubstr("2 new memory errors"));
}

TEST(GpuJudgeTest, LostCardStaysLost) {
  GpuJudge judge;
  EXPECT_THAT(judge.judge({.lost = true}, {}), HasSubstr("lost"));
  EXPECT_THAT(judge.judge({}, {}), HasSubstr("lost"));
}

TEST(GpuJudgeTest, HeatIsAFaultUntilItHasCooledDown) {
  GpuJudge judge;
  const auto at = [&](double celsius) {
    return judge.judge({.temperature_celsius = celsius, .slowdown_celsius = 90}, {});
  };
  EXPECT_EQ(at(89), "");
  EXPECT_EQ(at(90), "90 °C, and it slows itself down at 90 °C");
  EXPECT_NE(at(86), "");
  EXPECT_EQ(at(84), "");
  EXPECT_EQ(at(89), "");
}

}  // namespace
}  // namespace lctl::agent
