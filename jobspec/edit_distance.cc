#include "jobspec/edit_distance.h"

#include <algorithm>
#include <array>

namespace lctl::jobspec {
namespace {

constexpr std::size_t kLongest = 64;
constexpr std::size_t kChange = 2;  // in halves, so that case can cost one

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::size_t replacement(char a, char b) { return a == b ? 0 : lower(a) == lower(b) ? 1 : kChange; }

bool same_but_for_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  if (a.size() > kLongest || b.size() > kLongest) return a == b ? 0 : a.size() + b.size();
  using Row = std::array<std::size_t, kLongest + 1>;
  Row before{};
  Row last{};
  Row row{};
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j * kChange;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i * kChange;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min(
          {last[j] + kChange, row[j - 1] + kChange, last[j - 1] + replacement(a[i - 1], b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + kChange);
      }
    }
    before = last;
    last = row;
  }
  return (last[b.size()] + 1) / 2;
}

std::string nearest_name(std::string_view given, const std::vector<std::string_view>& names) {
  std::string_view best;
  std::size_t best_distance = 0;
  for (const std::string_view name : names) {
    if (same_but_for_case(given, name)) return std::string(name);
    const std::size_t allowed = name.size() <= 3 ? 1 : std::max<std::size_t>(2, name.size() / 3);
    if (given.size() > name.size() + allowed || name.size() > given.size() + allowed) continue;
    const std::size_t distance = edit_distance(given, name);
    if (distance > allowed || distance >= std::max(given.size(), name.size())) continue;
    if (best.empty() || distance < best_distance) {
      best = name;
      best_distance = distance;
    }
  }
  return std::string(best);
}

}  // namespace lctl::jobspec
