// Quantities as people read them.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"

namespace lctl::cli {

// "350ms", "4.2s", "42s", "3m 05s", "2h 13m", "3d 4h"; negative ones count as zero.
std::string human_duration(Duration duration);

// As a clock shows what is left: "0:07", "12:05", "2:13:00".
std::string clock_duration(Duration duration);

// "512 B", "4.0 KiB", "1.3 GiB".
std::string human_size(std::int64_t bytes);

// Four significant digits: "0.03125", "1234", "1.5e-07", "nan", "inf".
std::string human_number(double value);

// "12,345".
std::string human_count(std::int64_t count);

// Local time of a Unix time in microseconds, "2026-01-31 14:05:09"; "-" for 0.
std::string human_time(std::int64_t unix_us);

// "one node", "3 nodes": the count and the right form.
std::string counted(std::int64_t count, const std::string& singular, const std::string& plural);

}  // namespace lctl::cli
