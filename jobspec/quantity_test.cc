#include "jobspec/quantity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lctl::jobspec {
namespace {

using testing::HasSubstr;
using testing::Optional;

TEST(QuantityTest, DurationsHaveUnits) {
  EXPECT_THAT(parse_duration_ms(Value("60s")).value, Optional(60'000));
  EXPECT_THAT(parse_duration_ms(Value("500ms")).value, Optional(500));
  EXPECT_THAT(parse_duration_ms(Value("1h30m")).value, Optional(5'400'000));
  EXPECT_THAT(parse_duration_ms(Value("1.5h")).value, Optional(5'400'000));
  EXPECT_THAT(parse_duration_ms(Value("366d")).value, Optional(366LL * 86'400'000));
  EXPECT_THAT(parse_duration_ms(Value(0)).value, Optional(0));
}

TEST(QuantityTest, DurationsThatAreNoneSayWhy) {
  EXPECT_THAT(parse_duration_ms(Value(60)).problem, HasSubstr("has no unit"));
  EXPECT_THAT(parse_duration_ms(Value("60")).problem, HasSubstr("has no unit"));
  EXPECT_THAT(parse_duration_ms(Value("3 parsecs")).problem, HasSubstr("unknown unit"));
  for (const char* text :
       {"", "s", "-1s", "1s2", "1e5s", "nan s", "367d", "99999999999999999999d", "1..5h", "infs"}) {
    const auto quantity = parse_duration_ms(Value(text));
    EXPECT_FALSE(quantity.value.has_value()) << text;
    EXPECT_FALSE(quantity.problem.empty()) << text;
  }
}

TEST(QuantityTest, SizesTellPowersOf1000And1024Apart) {
  EXPECT_THAT(parse_size(Value("4GiB")).value, Optional(std::int64_t{4} << 30));
  EXPECT_THAT(parse_size(Value("512 MB")).value, Optional(512'000'000));
  EXPECT_THAT(parse_size(Value("1.5TiB")).value, Optional((std::int64_t{3} << 40) / 2));
  EXPECT_THAT(parse_size(Value(1024)).value, Optional(1024));
  for (const Value& bad :
       {Value("4Gib"), Value("-1GiB"), Value("GiB"), Value("2000000TiB"), Value(-1), Value(true)}) {
    EXPECT_FALSE(parse_size(bad).value.has_value()) << bad.preview();
    EXPECT_FALSE(parse_size(bad).problem.empty()) << bad.preview();
  }
}

TEST(QuantityTest, TimesAreLightnings) {
  EXPECT_THAT(parse_time_seconds(Value("00:12:00:05")).value, Optional(12 * 3600 + 5));
  Value parts = Value::empty_map();
  parts.set("hours", Value(1));
  parts.set("minutes", Value(1.5));
  EXPECT_THAT(parse_time_seconds(parts).value, Optional(3690));
  for (const char* text : {"12:00", "1:2:3:4:5", "a:b:c:d", "00:00:00:-1", ""}) {
    EXPECT_FALSE(parse_time_seconds(Value(text)).value.has_value()) << text;
  }
}

}  // namespace
}  // namespace lctl::jobspec
