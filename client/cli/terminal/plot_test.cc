#include "client/cli/terminal/plot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>
#include <string>

#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

PlotSeries falling(int points) {
  PlotSeries series{.name = "train/loss"};
  for (int i = 0; i < points; ++i) {
    series.points.push_back({static_cast<double>(i * 10), 2.5 / (1 + i)});
  }
  return series;
}

PlotSeries rising(int points) {
  PlotSeries series{.name = "val/acc"};
  for (int i = 0; i < points; ++i) {
    series.points.push_back({static_cast<double>(i * 10), 1.0 - 1.0 / (1 + i)});
  }
  return series;
}

TEST(PlotTest, OneSeriesInBraille) {
  EXPECT_EQ(render_plot({falling(12)}, {.rows = 4}, Look{.width = 40}),
            "   2.5 ┤⠑⡄\n"
            "       │ ⠈⢢\n"
            "       │   ⠑⠢⢄⣀\n"
            "0.2083 ┤       ⠉⠉⠉⠒⠒⠢⠤⠤⠤⠤⠤⠤⠤⠤⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀\n"
            "       └───────────────────────────────\n"
            "        step 0                      110\n");
}

TEST(PlotTest, AsciiWhereTheTerminalKnowsNoMore) {
  EXPECT_EQ(render_plot({falling(6)}, {.rows = 3}, Look{.width = 40, .unicode = false}),
            "   2.5 |***\n"
            "       |   ******\n"
            "0.4167 |         **********************\n"
            "       +-------------------------------\n"
            "        step 0                       50\n");
}

TEST(PlotTest, SeveralSeriesWithoutColourHaveMarksOfTheirOwn) {
  const std::string text = render_plot({falling(5), rising(5)}, {.rows = 5}, Look{.width = 40});
  EXPECT_EQ(text.substr(0, text.find('\n')), "* train/loss   o val/acc");
  EXPECT_NE(text.find('o', text.find('\n')), std::string::npos);
}

TEST(PlotTest, SeveralSeriesWithColourAreBraille) {
  const std::string text =
      render_plot({falling(5), rising(5)}, {.rows = 5}, Look{.width = 40, .colour = true});
  EXPECT_NE(text.find("\x1b[33m"), std::string::npos);
  EXPECT_EQ(text.find('*'), std::string::npos);
}

TEST(PlotTest, ValuesThatAreNotFiniteAreLeftOutAndCounted) {
  PlotSeries series = falling(4);
  series.points[1].y = std::nan("");
  series.points[2].y = INFINITY;
  const std::string text = render_plot({series}, {.rows = 3}, Look{.width = 40});
  EXPECT_NE(text.find("(2 values are not finite, left out)"), std::string::npos);
  EXPECT_NE(text.find(" 2.5 ┤"), std::string::npos);
}

TEST(PlotTest, NothingToDrawIsSaid) {
  EXPECT_EQ(render_plot({{.name = "x"}}, {}, Look()), "(no finite value to plot)\n");
}

TEST(PlotTest, OnePointAndAConstantAreInTheMiddle) {
  const std::string one =
      render_plot({{.name = "x", .points = {{5, 1.0}}}}, {.rows = 3}, Look{.width = 40});
  EXPECT_NE(one.find("step 5\n"), std::string::npos);
  const std::string constant = render_plot({{.name = "x", .points = {{0, 1.0}, {9, 1.0}}}},
                                           {.rows = 3}, Look{.width = 40, .unicode = false});
  EXPECT_NE(constant.find("  |***"), std::string::npos);
}

TEST(PlotTest, NoLineIsWiderThanTheTerminal) {
  for (const int width : {40, 80, 133}) {
    for (const bool unicode : {true, false}) {
      std::istringstream in(render_plot({falling(100), rising(100)}, {.rows = 8},
                                        Look{.width = width, .unicode = unicode}));
      for (std::string line; std::getline(in, line);) EXPECT_LE(display_width(line), width) << line;
    }
  }
}

}  // namespace
}  // namespace lctl::cli
