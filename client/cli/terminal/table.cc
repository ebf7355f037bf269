#include "client/cli/terminal/table.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

constexpr int kGap = 2;
constexpr int kNarrowestLast = 8;
constexpr int kNarrowestOther = 4;

void drop_trailing_blanks(std::string& line) {
  while (!line.empty() && line.back() == ' ') line.pop_back();
}

}  // namespace

void Table::add(std::vector<Cell> cells) {
  LCTL_CHECK(cells.size() == columns_.size(), "a row has one cell for each column");
  for (Cell& cell : cells) cell.text = printable(cell.text);
  rows_.push_back(std::move(cells));
}

std::vector<int> Table::widths(const Look& look) const {
  std::vector<int> widths;
  for (const Column& column : columns_) widths.push_back(display_width(column.title));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(row[i].text));
    }
  }
  const int gaps = kGap * (static_cast<int>(widths.size()) - 1);
  int excess = std::accumulate(widths.begin(), widths.end(), gaps) - look.width;
  const auto shrink = [&](std::size_t i, int least) {
    const int cut = std::clamp(widths[i] - least, 0, std::max(excess, 0));
    widths[i] -= cut;
    excess -= cut;
  };
  if (widths.empty()) return widths;
  shrink(widths.size() - 1, kNarrowestLast);
  for (std::size_t i = widths.size() - 1; i-- > 0;) {
    shrink(i, std::max(kNarrowestOther, display_width(columns_[i].title)));
  }
  for (std::size_t i = widths.size(); i-- > 0;) shrink(i, 1);  // a very narrow terminal
  return widths;
}

std::string Table::render(const Look& look) const {
  const std::vector<int> width = widths(look);
  std::string out;
  const auto line_of = [&](auto&& cell_of) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) line.append(kGap, ' ');
      line += cell_of(i);
    }
    drop_trailing_blanks(line);
    out += line + '\n';
  };
  line_of([&](std::size_t i) {
    const std::string title = fit(columns_[i].title, width[i], look);
    return pad(look.paint(Tone::kDim, title), width[i], columns_[i].right_aligned);
  });
  for (const auto& row : rows_) {
    line_of([&](std::size_t i) {
      const std::string text = fit(row[i].text, width[i], look);
      return pad(look.paint(row[i].tone, text), width[i], columns_[i].right_aligned);
    });
  }
  return out;
}

void Facts::add(std::string name, std::string value, Tone tone) {
  if (!value.empty()) facts_.push_back({std::move(name), printable(value), tone});
}

std::string Facts::render(const Look& look) const {
  int names = 0;
  for (const Fact& fact : facts_) names = std::max(names, display_width(fact.name));
  std::string out;
  for (const Fact& fact : facts_) {
    std::string head = look.paint(Tone::kDim, pad(fact.name, names)) + "  ";
    for (const std::string& line : wrap(fact.value, look.width - names - 2)) {
      out += head + look.paint(fact.tone, line) + '\n';
      head = std::string(static_cast<std::size_t>(names) + 2, ' ');
    }
  }
  return out;
}

}  // namespace lctl::cli
