#include "jobspec/quantity.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <span>
#include <utility>

namespace lctl::jobspec {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array<Unit, 5> kTimeUnits = {
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 9> kSizeUnits = {{{"B", 1},
                                             {"KB", 1e3},
                                             {"MB", 1e6},
                                             {"GB", 1e9},
                                             {"TB", 1e12},
                                             {"KiB", 1024},
                                             {"MiB", 1048576},
                                             {"GiB", 1073741824},
                                             {"TiB", 1099511627776}}};
constexpr double kLongestMs = 366.0 * 86'400'000;
constexpr double kLargestSize = 1152921504606846976.0;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string names_of(std::span<const Unit> units) {
  std::string names;
  for (const Unit& unit : units) names += (names.empty() ? "" : ", ") + std::string(unit.name);
  return names;
}

// Sum of "number unit" pairs, at least one, the number with a decimal point at most.
Quantity<std::int64_t> parse_sum(std::string_view text, std::span<const Unit> units, bool repeated,
                                 double largest) {
  double sum = 0;
  std::string_view rest = text;
  do {
    const std::size_t digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
    double number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + digits, number);
    if (digits == 0 || !is_digit(rest[0]) || error != std::errc() || end != rest.data() + digits) {
      return {{}, "is not a number with a unit"};
    }
    rest.remove_prefix(digits);
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    const std::size_t letters = std::min(rest.find_first_of("0123456789. "), rest.size());
    const std::string_view name = rest.substr(0, letters);
    if (name.empty()) return {{}, "has no unit"};
    const auto unit =
        std::find_if(units.begin(), units.end(), [name](const Unit& u) { return u.name == name; });
    if (unit == units.end()) {
      return {{},
              fmt::format("has the unknown unit `{}` (units: {})", name.substr(0, 16),
                          names_of(units))};
    }
    sum += number * unit->factor;
    rest.remove_prefix(letters);
  } while (!rest.empty() && repeated);
  if (!rest.empty()) return {{}, "has something after its unit"};
  if (sum > largest) return {{}, "is too large"};
  return {static_cast<std::int64_t>(std::llround(sum)), ""};
}

}  // namespace

Quantity<std::int64_t> parse_duration_ms(const Value& value) {
  if (value.is_number()) {
    if (value.as_double() == 0) return {0, ""};
    return {{}, "has no unit"};
  }
  if (!value.is_string()) return {{}, "is not a duration"};
  return parse_sum(value.as_string(), kTimeUnits, /*repeated=*/true, kLongestMs);
}

Quantity<std::int64_t> parse_size(const Value& value) {
  if (value.is_int()) {
    if (value.as_int() < 0) return {{}, "is negative"};
    if (static_cast<double>(value.as_int()) > kLargestSize) return {{}, "is too large"};
    return {value.as_int(), ""};
  }
  if (!value.is_string()) return {{}, "is not a size"};
  return parse_sum(value.as_string(), kSizeUnits, /*repeated=*/false, kLargestSize);
}

Quantity<double> parse_time_seconds(const Value& value) {
  constexpr std::array<std::pair<std::string_view, double>, 6> kParts = {{{"weeks", 604800},
                                                                          {"days", 86400},
                                                                          {"hours", 3600},
                                                                          {"minutes", 60},
                                                                          {"seconds", 1},
                                                                          {"milliseconds", 0.001}}};
  if (value.is_map()) {
    double seconds = 0;
    for (const Value::Entry& entry : value.map()) {
      const auto part = std::find_if(kParts.begin(), kParts.end(),
                                     [&entry](const auto& p) { return p.first == entry.key; });
      if (part == kParts.end() || !entry.value.is_number()) {
        return {
            {},
            fmt::format("has `{}`, which is no number of weeks, days, hours, minutes, seconds or "
                        "milliseconds",
                        entry.key)};
      }
      seconds += entry.value.as_double() * part->second;
    }
    if (!(seconds >= 0 && seconds <= 3.2e9)) return {{}, "is out of range"};
    return {seconds, ""};
  }
  if (!value.is_string()) return {{}, "is not a time"};
  // One or more digits, then three groups of two.
  const std::string& text = value.as_string();
  const std::string_view problem = "is not of the form DD:HH:MM:SS";
  const std::size_t days = text.find(':');
  if (days == std::string::npos || days == 0 || days > 5 || text.size() != days + 9)
    return {{}, std::string(problem)};
  double parts[4] = {};
  std::string_view rest = text;
  for (int i = 0; i < 4; ++i) {
    const std::size_t length = i == 0 ? days : 2;
    for (const char c : rest.substr(0, length)) {
      if (!is_digit(c)) return {{}, std::string(problem)};
      parts[i] = parts[i] * 10 + (c - '0');
    }
    rest.remove_prefix(length);
    if (i < 3 && !rest.starts_with(':')) return {{}, std::string(problem)};
    if (i < 3) rest.remove_prefix(1);
  }
  return {parts[0] * 86400 + parts[1] * 3600 + parts[2] * 60 + parts[3], ""};
}

}  // namespace lctl::jobspec
