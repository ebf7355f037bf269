// The table that validate and test print.
#pragma once

#include <string_view>
#include <vector>

#include "worker/trainer/connectors/metric_value.h"

namespace lctl {

// One column per loader, one row per metric, as Lightning prints it; on standard output.
void print_results_table(std::string_view title, const std::vector<MetricDict>& results);

}  // namespace lctl
