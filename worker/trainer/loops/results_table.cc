#include "worker/trainer/loops/results_table.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

#include "worker/trainer/core/python_format.h"

namespace lctl {
namespace {

std::size_t terminal_width() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 120;
}

}  // namespace

void print_results_table(std::string_view title, const std::vector<MetricDict>& results) {
  std::map<std::string, std::vector<std::string>> rows;
  for (std::size_t loader = 0; loader < results.size(); ++loader) {
    for (const auto& [name, value] : results[loader].entries()) {
      auto& row = rows[name.substr(0, name.find("/dataloader_idx_"))];
      row.resize(results.size());
      row[loader] = python_repr(value.number());
    }
  }
  if (rows.empty()) return;
  std::size_t longest = std::string_view("DataLoader 0").size();
  for (const auto& [name, row] : rows) longest = std::max(longest, name.size());
  const std::size_t terminal = terminal_width();
  const std::size_t width = std::min(std::max<std::size_t>(longest, 25), terminal / 2);
  const std::size_t columns = std::max<std::size_t>(1, terminal / width - 1);
  std::string bar;
  for (std::size_t i = 0; i < terminal; ++i) bar += "─";
  std::string text;
  for (std::size_t first = 0; first < results.size(); first += columns) {
    const std::size_t last = std::min(results.size(), first + columns);
    text += bar + "\n";
    text += fmt::format("{:^{}}", title, width);
    for (std::size_t i = first; i < last; ++i)
      text += fmt::format("{:^{}}", fmt::format("DataLoader {}", i), width);
    text += "\n" + bar + "\n";
    for (const auto& [name, row] : rows) {
      text += fmt::format("{:^{}}", name, width);
      for (std::size_t i = first; i < last; ++i)
        text += fmt::format("{:^{}}", i < row.size() ? row[i] : "", width);
      text += "\n";
    }
    text += bar + "\n";
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace lctl
