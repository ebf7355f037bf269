#include "jobspec/scalar.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace lctl::jobspec {
namespace {

template <typename T>
void expect_is(std::string_view text, T value) {
  const Scalar scalar = resolve_plain_scalar(text);
  ASSERT_TRUE(std::holds_alternative<T>(scalar)) << text;
  EXPECT_EQ(std::get<T>(scalar), value) << text;
}

TEST(ScalarTest, NullAndBooleansAreThoseOfYaml11) {
  for (const char* text : {"", "~", "null", "Null", "NULL"}) {
    EXPECT_TRUE(std::holds_alternative<std::monostate>(resolve_plain_scalar(text))) << text;
  }
  for (const char* text : {"true", "True", "TRUE", "yes", "Yes", "on", "On"}) expect_is(text, true);
  for (const char* text : {"false", "False", "no", "NO", "off", "Off"}) expect_is(text, false);
}

TEST(ScalarTest, NumbersKeepTheirKind) {
  expect_is<std::int64_t>("0", 0);
  expect_is<std::int64_t>("-12", -12);
  expect_is<std::int64_t>("+3", 3);
  expect_is<std::int64_t>("1_000", 1000);
  expect_is<std::int64_t>("0x1F", 31);
  expect_is<std::int64_t>("010", 8);
  expect_is<std::int64_t>("0b101", 5);
  expect_is<std::int64_t>("9223372036854775807", std::numeric_limits<std::int64_t>::max());
  expect_is<std::int64_t>("-9223372036854775808", std::numeric_limits<std::int64_t>::min());
  expect_is("1.0", 1.0);
  expect_is(".5", 0.5);
  expect_is("1e-3", 0.001);  // LightningCLI's change to YAML 1.1
  expect_is("1e3", 1000.0);
  expect_is("-2.5E+2", -250.0);
  expect_is(".inf", std::numeric_limits<double>::infinity());
  expect_is("-.INF", -std::numeric_limits<double>::infinity());
  const Scalar nan = resolve_plain_scalar(".nan");
  ASSERT_TRUE(std::holds_alternative<double>(nan));
  EXPECT_TRUE(std::isnan(std::get<double>(nan)));
}

TEST(ScalarTest, WhatNoMachineNumberHoldsIsTooLarge) {
  for (const char* text : {"9223372036854775808", "-9223372036854775809", "1e999"}) {
    EXPECT_TRUE(std::holds_alternative<NumberTooLarge>(resolve_plain_scalar(text))) << text;
  }
}

TEST(ScalarTest, AllElseIsText) {
  for (const char* text : {"three", "1.2.3", "0x", "1e", "e3", "--1", "2026-11-23", "nan", "inf",
                           "y", "n", "12 13", "_1", "val/acc", "."}) {
    EXPECT_TRUE(std::holds_alternative<PlainText>(resolve_plain_scalar(text))) << text;
  }
}

TEST(ScalarTest, BaseSixtyIsRecognised) {
  EXPECT_TRUE(is_base_60("10:30"));
  EXPECT_TRUE(is_base_60("1:30:00"));
  EXPECT_FALSE(is_base_60("10:75"));
  EXPECT_FALSE(is_base_60("host:80a"));
}

TEST(ScalarTest, BaseEightIsRecognised) {
  for (const char* text : {"010", "-07", "00", "0_1"}) EXPECT_TRUE(is_base_8(text)) << text;
  for (const char* text : {"0", "-0", "10", "08", "0x10", "0.5", ""}) {
    EXPECT_FALSE(is_base_8(text)) << text;
  }
}

TEST(ScalarTest, WrittenFloatsReadBackAsTheSameFloat) {
  for (const double value : {0.1, 1.0, 1e-5, 1e300, -0.0, 1.0 / 3, 5e-324, 123456789.123}) {
    const Scalar back = resolve_plain_scalar(write_float(value));
    ASSERT_TRUE(std::holds_alternative<double>(back)) << write_float(value);
    EXPECT_EQ(std::get<double>(back), value);
    EXPECT_EQ(std::signbit(std::get<double>(back)), std::signbit(value));
  }
  EXPECT_EQ(write_float(0.1), "0.1");
}

}  // namespace
}  // namespace lctl::jobspec
