#include "client/cli/terminal/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>

#include "client/cli/terminal/human.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

constexpr std::string_view kMarks = "*ox+#@";

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
  // A place for a range of one value in the middle.
  double fraction(double value) const {
    const double span = high - low;
    return span > 0 ? (value - low) / span : 0.5;
  }
};

bool drawable(const PlotPoint& point) { return std::isfinite(point.x) && std::isfinite(point.y); }

struct Bounds {
  Range x;
  Range y;
  std::int64_t left_out = 0;
};

Bounds bounds_of(const std::vector<PlotSeries>& series) {
  Bounds bounds;
  for (const PlotSeries& one : series) {
    for (const PlotPoint& point : one.points) {
      if (!drawable(point)) {
        ++bounds.left_out;
        continue;
      }
      bounds.x.include(point.x);
      bounds.y.include(point.y);
    }
  }
  return bounds;
}

// The drawing area: cells of characters, each of `across` × `down` dots.
class Canvas {
 public:
  Canvas(int columns, int rows, bool braille)
      : columns_(columns),
        rows_(rows),
        across_(braille ? 2 : 1),
        down_(braille ? 4 : 1),
        cells_(static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows)) {}

  void draw(const PlotSeries& series, int number, const Bounds& bounds) {
    bool joined = false;
    int last_x = 0;
    int last_y = 0;
    for (const PlotPoint& point : series.points) {
      if (!drawable(point)) {
        joined = false;
        continue;
      }
      const int x = place(bounds.x.fraction(point.x), columns_ * across_);
      const int y = place(1 - bounds.y.fraction(point.y), rows_ * down_);
      if (joined) {
        line(last_x, last_y, x, y, number);
      } else {
        dot(x, y, number);
      }
      joined = true;
      last_x = x;
      last_y = y;
    }
  }

  std::string row(int row, const Look& look) const {
    std::string out;
    for (int column = 0; column < columns_; ++column) {
      const Cell& cell = cells_[static_cast<std::size_t>(row * columns_ + column)];
      if (cell.dots == 0) {
        out += ' ';
      } else {
        out += look.paint(Tone::kSeries, text_of(cell), cell.series);
      }
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
  }

 private:
  struct Cell {
    std::uint8_t dots = 0;
    int series = 0;
  };

  static int place(double fraction, int dots) {
    return std::clamp(static_cast<int>(std::lround(fraction * (dots - 1))), 0, dots - 1);
  }

  void dot(int x, int y, int series) {
    static constexpr std::array<std::array<std::uint8_t, 2>, 4> kBits = {
        {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}};
    Cell& cell = cells_[static_cast<std::size_t>((y / down_) * columns_ + x / across_)];
    cell.dots |= kBits[static_cast<std::size_t>(y % down_)][static_cast<std::size_t>(x % across_)];
    cell.series = series;
  }

  void line(int x0, int y0, int x1, int y1, int series) {
    const int steps = std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1});
    for (int i = 0; i <= steps; ++i) {
      const double at = static_cast<double>(i) / steps;
      dot(static_cast<int>(std::lround(x0 + at * (x1 - x0))),
          static_cast<int>(std::lround(y0 + at * (y1 - y0))), series);
    }
  }

  std::string text_of(const Cell& cell) const {
    if (down_ == 1)
      return std::string(1, kMarks[static_cast<std::size_t>(cell.series) % kMarks.size()]);
    const std::uint32_t code = 0x2800u + cell.dots;
    return {static_cast<char>(0xe0 | (code >> 12)), static_cast<char>(0x80 | ((code >> 6) & 0x3f)),
            static_cast<char>(0x80 | (code & 0x3f))};
  }

  int columns_;
  int rows_;
  int across_;
  int down_;
  std::vector<Cell> cells_;
};

std::string legend(const std::vector<PlotSeries>& series, bool braille, const Look& look) {
  std::string out;
  for (std::size_t i = 0; i < series.size(); ++i) {
    const int number = static_cast<int>(i);
    const std::string mark = braille ? "⠒" : std::string(1, kMarks[i % kMarks.size()]);
    if (i > 0) out += "   ";
    out += look.paint(Tone::kSeries, mark, number) + " " + printable(series[i].name);
  }
  return out;
}

}  // namespace

std::string render_plot(const std::vector<PlotSeries>& series, const PlotOptions& options,
                        const Look& look) {
  const Bounds bounds = bounds_of(series);
  if (bounds.x.empty()) return "(no finite value to plot)\n";
  // Dots of several series in one cell can be told apart by colour only.
  const bool braille = look.unicode && (series.size() == 1 || look.colour);
  const std::string top = human_number(bounds.y.high);
  const std::string bottom = human_number(bounds.y.low);
  const int labels = std::max(display_width(top), display_width(bottom));
  const int rows = std::clamp(options.rows, 2, 100);
  const int columns = std::max(look.width - labels - 3, 10);

  Canvas canvas(columns, rows, braille);
  for (std::size_t i = 0; i < series.size(); ++i) {
    canvas.draw(series[i], static_cast<int>(i), bounds);
  }
  const std::string edge = look.unicode ? " ┤" : " |";
  const std::string wall = look.unicode ? " │" : " |";
  std::string out;
  if (series.size() > 1) {
    const std::string names = legend(series, braille, look);
    out += display_width(names) <= look.width || look.colour ? names : fit(names, look.width, look);
    out += '\n';
  }
  for (int row = 0; row < rows; ++row) {
    const std::string label = row == 0 ? top : row == rows - 1 ? bottom : "";
    const bool marked = row == 0 || row == rows - 1;
    out += pad(label, labels, true) + look.paint(Tone::kDim, marked ? edge : wall) +
           canvas.row(row, look) + '\n';
  }
  const std::string corner = look.unicode ? " └" : " +";
  std::string axis;
  for (int i = 0; i < columns; ++i) axis += look.unicode ? "─" : "-";
  const std::string margin(static_cast<std::size_t>(labels), ' ');
  out += margin + look.paint(Tone::kDim, corner + axis) + '\n';

  const std::string first = fmt::format("{} {:.0f}", options.x_name, bounds.x.low);
  const std::string last = fmt::format("{:.0f}", bounds.x.high);
  const bool one = bounds.x.low == bounds.x.high;
  out += margin + "  " + (one ? first : pad(first, columns - display_width(last)) + last) + '\n';
  if (bounds.left_out > 0) {
    out += fmt::format("{}  ({} not finite, left out)\n", margin,
                       counted(bounds.left_out, "value is", "values are"));
  }
  return out;
}

}  // namespace lctl::cli
