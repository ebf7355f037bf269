// Durations and sizes as people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "jobspec/value.h"

namespace lctl::jobspec {

// Either a number or the reason why there is none.
template <typename T>
struct Quantity {
  std::optional<T> value;
  std::string problem;  // "has no unit", …; "" when there is a value
};

// Milliseconds of "60s", "500ms", "2m", "1h30m", "1.5h", "1d", or of the number 0 (only 0 needs no
// unit). At most 366 days.
Quantity<std::int64_t> parse_duration_ms(const Value& value);

// Bytes of "4GiB", "512 MB", "1.5TiB" or of a plain number of bytes. KB, MB … are powers of 1000,
// KiB, MiB … of 1024. At most 2^60.
Quantity<std::int64_t> parse_size(const Value& value);

// Seconds of Lightning's "DD:HH:MM:SS", or of a map of days, hours, minutes, seconds (timedelta's).
Quantity<double> parse_time_seconds(const Value& value);

}  // namespace lctl::jobspec
