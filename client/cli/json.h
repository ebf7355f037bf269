// What --json prints. Keys and types are fixed (docs/cli.md): scripts read them. Times are Unix
// seconds (null = never); numbers that are not finite are the texts "NaN", "Infinity", "-Infinity".
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <ostream>
#include <vector>

#include "proto/lctl/v1/checkpoint.pb.h"
#include "proto/lctl/v1/control.pb.h"
#include "proto/lctl/v1/tracking.pb.h"

namespace lctl::cli {

using Json = nlohmann::ordered_json;

Json number_json(double value);
Json time_json(std::int64_t unix_us);

Json job_json(const v1::Job& job);
// job_json with attempts, transitions, checkpoints, source and environments.
Json details_json(const v1::JobDetails& details, const std::vector<v1::Checkpoint>& checkpoints);
// With the diff, where it has one.
Json source_json(const v1::SourceCode& source);
Json node_json(const v1::Node& node);
Json checkpoint_json(const v1::Checkpoint& checkpoint);
Json point_json(const v1::MetricPoint& point);
Json summary_json(const v1::MetricSummary& summary);

// One object, indented; or one line.
void print_json(std::ostream& out, const Json& value);
void print_json_line(std::ostream& out, const Json& value);
// An array, one element a line.
void print_json_rows(std::ostream& out, const std::vector<Json>& rows);

}  // namespace lctl::cli
