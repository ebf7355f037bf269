#include "client/cli/terminal/human.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <ctime>

namespace lctl::cli {

std::string human_duration(Duration duration) {
  const std::int64_t us = std::max<std::int64_t>(duration.count(), 0);
  const std::int64_t seconds = us / 1'000'000;
  if (us < 999'500) return fmt::format("{}ms", (us + 500) / 1000);
  if (us < 9'950'000) return fmt::format("{:.1f}s", static_cast<double>(us) / 1e6);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m {:02}s", seconds / 60, seconds % 60);
  if (seconds < 86'400) return fmt::format("{}h {:02}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d {}h", seconds / 86'400, seconds / 3600 % 24);
}

std::string clock_duration(Duration duration) {
  const std::int64_t seconds = std::max<std::int64_t>(duration.count(), 0) / 1'000'000;
  if (seconds < 3600) return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
  return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::string human_size(std::int64_t bytes) {
  static constexpr std::array<const char*, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  if (std::abs(bytes) < 1024) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  // 1023.95 would be printed as 1024.0.
  while (std::abs(value) >= 1023.95 && unit + 1 < kUnits.size()) value /= 1024, ++unit;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_number(double value) {
  if (std::isnan(value)) return "nan";
  return fmt::format("{:.4g}", value);
}

std::string human_count(std::int64_t count) {
  const bool negative = count < 0;
  std::string text = std::to_string(count);
  const std::ptrdiff_t digits_begin = negative ? 1 : 0;
  for (std::ptrdiff_t at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > digits_begin;
       at -= 3) {
    text.insert(static_cast<std::size_t>(at), ",");
  }
  return text;
}

std::string human_time(std::int64_t unix_us) {
  if (unix_us == 0) return "-";
  const std::time_t seconds = unix_us / 1'000'000;
  std::tm local{};
  if (::localtime_r(&seconds, &local) == nullptr) return "-";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", local.tm_year + 1900, local.tm_mon + 1,
                     local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec);
}

std::string counted(std::int64_t count, const std::string& singular, const std::string& plural) {
  return count == 1 ? "one " + singular : human_count(count) + " " + plural;
}

}  // namespace lctl::cli
