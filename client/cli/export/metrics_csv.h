// Curves as CSV (RFC 4180), one point a line: key,step,epoch,time,value.
#pragma once

#include <string>
#include <string_view>

#include "proto/lctl/v1/tracking.pb.h"

namespace lctl::cli {

inline constexpr char kMetricsHeader[] = "key,step,epoch,time,value\n";

// A line with its end. Time in Unix seconds, to the microsecond; the value with as many digits as
// make it the same number again; nan, inf and -inf as Python's float() reads them.
std::string metric_line(std::string_view key, const v1::MetricPoint& point);

// A field as it stands between commas: in quotes where it must be.
std::string csv_field(std::string_view text);

}  // namespace lctl::cli
