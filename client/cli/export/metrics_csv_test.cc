#include "client/cli/export/metrics_csv.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>

namespace lctl::cli {
namespace {

v1::MetricPoint point(double value, std::int64_t time_us = 1'700'000'000'123'456) {
  v1::MetricPoint point;
  point.set_step(7);
  point.set_epoch(2);
  point.set_time_us(time_us);
  point.set_value(value);
  return point;
}

TEST(MetricsCsvTest, LineHasEveryDigit) {
  EXPECT_EQ(metric_line("train/loss", point(0.1)), "train/loss,7,2,1700000000.123456,0.1\n");
  for (const double value : {1.0 / 3, 1e-300, 5e-324, -1.7976931348623157e308, 0.1 + 0.2}) {
    const std::string line = metric_line("k", point(value));
    EXPECT_EQ(std::strtod(line.c_str() + line.rfind(',') + 1, nullptr), value) << line;
  }
}

TEST(MetricsCsvTest, NumbersThatAreNotFiniteAreThoseOfPython) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(metric_line("k", point(infinity, 0)), "k,7,2,0.000000,inf\n");
  EXPECT_EQ(metric_line("k", point(-infinity, 1)), "k,7,2,0.000001,-inf\n");
  EXPECT_EQ(metric_line("k", point(-std::numeric_limits<double>::quiet_NaN(), 0)),
            "k,7,2,0.000000,nan\n");
}

TEST(MetricsCsvTest, KeysAreQuotedWhereTheyMustBe) {
  EXPECT_EQ(csv_field("val/acc"), "val/acc");
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("say \"hi\"\n"), "\"say \"\"hi\"\"\n\"");
}

}  // namespace
}  // namespace lctl::cli
