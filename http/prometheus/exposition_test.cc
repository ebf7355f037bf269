#include "http/prometheus/exposition.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace lctl::prometheus {
namespace {

TEST(ExpositionTest, FamilyHasHelpTypeAndItsSamples) {
  Exposition page;
  Family jobs = page.family("lctl_jobs", Type::kGauge, "Jobs by state.\nTwo lines, one \\.");
  jobs.sample({{"state", "queued"}}, 3);
  jobs.sample({{"state", "running"}, {"kind", "x"}}, 0.5);
  page.family("lctl_points_total", Type::kCounter, "Points.").sample({}, std::uint64_t{7});
  EXPECT_EQ(page.text(),
            "# HELP lctl_jobs Jobs by state.\\nTwo lines, one \\\\.\n"
            "# TYPE lctl_jobs gauge\n"
            "lctl_jobs{state=\"queued\"} 3\n"
            "lctl_jobs{state=\"running\",kind=\"x\"} 0.5\n"
            "# HELP lctl_points_total Points.\n"
            "# TYPE lctl_points_total counter\n"
            "lctl_points_total 7\n");
}

TEST(ExpositionTest, LabelValuesAreEscapedAndMadeUtf8) {
  Exposition page;
  page.family("x", Type::kGauge, "").sample({{"name", "a\"b\\c\nd\xff é"}}, 1);
  EXPECT_NE(page.text().find("x{name=\"a\\\"b\\\\c\\nd? é\"} 1\n"), std::string::npos)
      << page.text();
}

TEST(ExpositionTest, NumbersReadBackAsTheyWere) {
  Exposition page;
  Family x = page.family("x", Type::kGauge, "");
  x.sample({}, std::nan(""));
  x.sample({}, std::numeric_limits<double>::infinity());
  x.sample({}, -std::numeric_limits<double>::infinity());
  x.sample({}, 0.1);
  x.sample({}, 1e300);
  x.sample({}, std::uint64_t{18'446'744'073'709'551'615u});
  EXPECT_EQ(page.text().substr(page.text().find("gauge\n") + 6),
            "x NaN\nx +Inf\nx -Inf\nx 0.1\nx 1e+300\nx 18446744073709551615\n");
}

TEST(ExpositionTest, SummaryHasSumAndCount) {
  Exposition page;
  page.family("lctl_pass_seconds", Type::kSummary, "").summary({}, 1.5, 3);
  EXPECT_NE(page.text().find("lctl_pass_seconds_sum 1.5\nlctl_pass_seconds_count 3\n"),
            std::string::npos);
}

TEST(ExpositionDeathTest, NamesThatTheFormatForbidsEndTheProcess) {
  Exposition page;
  EXPECT_DEATH(page.family("a-b", Type::kGauge, ""), "letters");
  EXPECT_DEATH(page.family("a", Type::kCounter, ""), "_total");
  page.family("a", Type::kGauge, "");
  EXPECT_DEATH(page.family("a", Type::kGauge, ""), "once");
}

}  // namespace
}  // namespace lctl::prometheus
