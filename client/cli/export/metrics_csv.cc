#include "client/cli/export/metrics_csv.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>

namespace lctl::cli {
namespace {

std::string value_text(double value) {
  if (std::isnan(value)) return "nan";  // without a sign
  return fmt::format("{}", value);
}

// Exact: a double of today's time has not all microseconds.
std::string seconds_text(std::int64_t micros) {
  const std::int64_t whole = micros / 1'000'000;
  return fmt::format("{}{}.{:06}", micros < 0 ? "-" : "", std::abs(whole),
                     std::abs(micros % 1'000'000));
}

}  // namespace

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

std::string metric_line(std::string_view key, const v1::MetricPoint& point) {
  return fmt::format("{},{},{},{},{}\n", csv_field(key), point.step(), point.epoch(),
                     seconds_text(point.time_us()), value_text(point.value()));
}

}  // namespace lctl::cli
