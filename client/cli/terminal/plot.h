// Curves as text: braille dots on a terminal that knows them, characters elsewhere.
#pragma once

#include <string>
#include <vector>

#include "client/cli/terminal/look.h"

namespace lctl::cli {

struct PlotPoint {
  double x = 0;
  double y = 0;  // NaN and infinite ones are left out, and counted below the plot
};

struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;  // in the order of x
};

struct PlotOptions {
  int rows = 10;  // of the drawing area, 2..100
  std::string x_name = "step";
};

// The drawing with the least and the largest value at its left and the range of x below; with
// several series a legend above. No line is wider than the look. Without a single finite point one
// line says so.
std::string render_plot(const std::vector<PlotSeries>& series, const PlotOptions& options,
                        const Look& look);

}  // namespace lctl::cli
