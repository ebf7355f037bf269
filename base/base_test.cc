#include <cerrno>
#include <set>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/pattern.h"
#include "base/printable_line.h"
#include "base/status.h"
#include "base/utf8.h"
#include "gtest/gtest.h"

namespace lctl {
namespace {

TEST(RandomIdTest, HasTheAskedLengthAndAlphabetAndDoesNotRepeat) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = random_id(10);
    ASSERT_EQ(id.size(), 10u);
    EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567"), std::string::npos);
    EXPECT_TRUE(seen.insert(id).second) << id;
  }
}

TEST(AttemptIdTest, OrdersByJobThenNumber) {
  const AttemptId first{JobId{"a"}, 2};
  EXPECT_LT(first, (AttemptId{JobId{"a"}, 10}));
  EXPECT_LT((AttemptId{JobId{"a"}, 10}), (AttemptId{JobId{"b"}, 1}));
  EXPECT_EQ(first.str(), "a.2");
}

TEST(PrintableLineTest, LongLineIsCutBetweenCharacters) {
  EXPECT_EQ(printable_line("aa\xc3\xbc", 3), "aa");
  EXPECT_EQ(printable_line("aa\xc3\xbc", 4), "aa\xc3\xbc");
}

TEST(PatternTest, IsFoundAnywhereInATextOfAnyBytes) {
  const Pattern pattern("CUDA error: (ECC|Xid \\d+)");
  EXPECT_TRUE(pattern.is_in("rank 1: CUDA error: Xid 79 \xff"));
  EXPECT_FALSE(pattern.is_in("CUDA error: none"));
}

TEST(PatternTest, WhatIsNoExpressionSaysWhyAndMatchesNothing) {
  EXPECT_EQ(pattern_problem("a|b"), "");
  EXPECT_EQ(pattern_problem("(abc"), "missing ): (abc");
  EXPECT_NE(pattern_problem("((a{100}){100}){100}"), "");
  EXPECT_FALSE(Pattern("(abc").is_in("(abc"));
}

TEST(Utf8Test, FirstAndLastOfEachLengthAreWellFormedAndTheirNeighboursAreNot) {
  for (const char* text :
       {"a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(utf8_length(text), std::string_view(text).size()) << text;
    EXPECT_TRUE(is_utf8(std::string(text) + "x" + text)) << text;
  }
  // Continuations alone, overlong forms, surrogates, beyond U+10FFFF, cut short.
  for (const char* text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc2", "\xe2\x82", "\xf0\x9f\x98",
        "\xe2\x82"
        "x"}) {
    EXPECT_EQ(utf8_length(text), 0u) << text;
    EXPECT_FALSE(is_utf8(std::string("x") + text)) << text;
  }
  EXPECT_TRUE(is_utf8(""));
}

TEST(StatusTest, ContextIsAddedInFrontAndOkStaysOk) {
  EXPECT_TRUE(with_context(absl::OkStatus(), "x").ok());
  const absl::Status status = with_context(absl::NotFoundError("no such job"), "lctl stop");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "lctl stop: no such job");
}

TEST(StatusTest, ErrnoBecomesTheCodeThatFits) {
  EXPECT_EQ(errno_status(ENOSPC, "write").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(errno_status(ENOENT, "open a.yaml").message(),
            "open a.yaml: No such file or directory");
}

absl::StatusOr<int> half(int value) {
  if (value % 2 != 0) return absl::InvalidArgumentError("odd");
  return value / 2;
}

absl::StatusOr<int> quarter(int value) {
  LCTL_ASSIGN_OR_RETURN(const int once, half(value));
  LCTL_ASSIGN_OR_RETURN(const int twice, half(once));
  return twice;
}

TEST(StatusTest, AssignOrReturnStopsAtTheFirstError) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).status().message(), "odd");
}

TEST(ClockTest, UnixMicrosRoundTrip) {
  const std::int64_t micros = 1'700'000'000'123'456;
  EXPECT_EQ(unix_micros(from_unix_micros(micros)), micros);
  EXPECT_GT(unix_micros(system_clock().wall_now()), micros);
  const MonotonicTime earlier = system_clock().monotonic_now();
  EXPECT_GE(system_clock().monotonic_now(), earlier);
}

TEST(LogTest, SameNameIsTheSameLoggerAndLevelsAreChecked) {
  EXPECT_EQ(&logger("a"), &logger("a"));
  EXPECT_NE(&logger("a"), &logger("b"));
  EXPECT_FALSE(set_log_level("loud"));
  EXPECT_TRUE(set_log_level("warning"));
  EXPECT_FALSE(logger("c").should_log(spdlog::level::info));
  EXPECT_TRUE(set_log_level("info"));
}

}  // namespace
}  // namespace lctl
