#include "worker/agent/process_look.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace lctl::agent {
namespace {

using ::testing::HasSubstr;

TEST(ProcessLookTest, StateIsBehindAnyName) {
  EXPECT_EQ(parse_state("12 (cat) S 1 12"), 'S');
  EXPECT_EQ(parse_state("12 (a) T (b) R 1"), 'R');
  EXPECT_EQ(parse_state("12 (a"), '?');
  EXPECT_EQ(parse_state(""), '?');
  EXPECT_EQ(parse_state("1 (x) "), '?');
}

TEST(ProcessLookTest, StoppedProcessAndItsThreadsAreDescribed) {
  const pid_t child = fork();
  if (child == 0) {
    while (true) pause();
  }
  kill(child, SIGSTOP);
  waitpid(child, nullptr, WUNTRACED);
  EXPECT_EQ(process_state(child), 'T');
  EXPECT_EQ(describe_state(child), "stopped (SIGSTOP)");
  EXPECT_THAT(describe_threads(child), HasSubstr(" " + std::to_string(child) + " T"));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(process_state(child), '?');
  EXPECT_EQ(describe_state(child), "");
  EXPECT_EQ(describe_threads(child), "");
}

TEST(ProcessLookTest, WorkingProcessHasNothingToExplain) {
  EXPECT_EQ(describe_state(getpid()), "");
  EXPECT_FALSE(is_traced(process_state(getpid())));
}

}  // namespace
}  // namespace lctl::agent
