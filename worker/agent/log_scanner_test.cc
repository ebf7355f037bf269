#include "worker/agent/log_scanner.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr v1::StreamKind kOut = v1::STREAM_KIND_STDOUT;
constexpr v1::StreamKind kErr = v1::STREAM_KIND_STDERR;

LogScanner scanner(const std::vector<std::string>& patterns, LogMatches known = {}) {
  v1::JobSpec spec;
  for (const std::string& pattern : patterns) spec.add_log_policies()->set_pattern(pattern);
  return {spec.log_policies(), std::move(known)};
}

TEST(LogScannerTest, FirstLineOfEachPolicyIsFoundOnce) {
  LogScanner looks = scanner({"CUDA", "e.r", "never"});
  EXPECT_THAT(looks.scan(kOut, 0, "fine\nCUDA error 1\nCUDA error 2\n"), ElementsAre(0, 1));
  EXPECT_THAT(looks.scan(kErr, 0, "CUDA error 3\n"), IsEmpty());
  EXPECT_THAT(looks.known(), ElementsAre(Pair(0, "CUDA error 1"), Pair(1, "CUDA error 1")));
  EXPECT_TRUE(looks.is_looking());
}

TEST(LogScannerTest, LineIsPutTogetherAndSentAgainBytesDoNotCount) {
  LogScanner looks = scanner({"^hello world$"});
  EXPECT_THAT(looks.scan(kOut, 0, "x\nhello "), IsEmpty());
  EXPECT_THAT(looks.scan(kErr, 0, "in between\n"), IsEmpty());
  EXPECT_THAT(looks.scan(kOut, 0, "x\nhello "), IsEmpty()) << "after a reconnect";
  EXPECT_THAT(looks.scan(kOut, 5, "lo world\r\n"), ElementsAre(0));
  EXPECT_EQ(looks.expected(kOut), 15u);
}

TEST(LogScannerTest, BehindAGapALineBegins) {
  LogScanner looks = scanner({"^world$", "hello"});
  EXPECT_THAT(looks.scan(kOut, 0, "hello "), IsEmpty());
  EXPECT_THAT(looks.scan(kOut, 100, "world\n"), ElementsAre(0));
}

TEST(LogScannerTest, LastLineNeedsNoEnd) {
  LogScanner looks = scanner({"out of memory"});
  EXPECT_THAT(looks.scan(kErr, 0, "out of memory"), IsEmpty());
  EXPECT_THAT(looks.end(kOut), IsEmpty());
  EXPECT_THAT(looks.end(kErr), ElementsAre(0));
  EXPECT_THAT(looks.end(kErr), IsEmpty());
}

TEST(LogScannerTest, WhatIsKnownIsNotLookedForAgain) {
  LogScanner looks = scanner({"a", "b"}, {{0, "a before"}});
  EXPECT_THAT(looks.scan(kOut, 0, "a b\n"), ElementsAre(1));
  EXPECT_FALSE(looks.is_looking());
}

TEST(LogScannerTest, OfALongLineOnlyTheBeginningCounts) {
  LogScanner looks = scanner({"late", "^x+$"});
  EXPECT_THAT(looks.scan(kOut, 0, std::string(LogScanner::kMaxLineBytes, 'x') + "late\n"),
              ElementsAre(1));
  EXPECT_LE(looks.known().at(1).size(), 500u);
}

}  // namespace
}  // namespace lctl::agent
