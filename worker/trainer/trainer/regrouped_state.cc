#include "worker/trainer/trainer/regrouped_state.h"

#include <limits>
#include <string>
#include <utility>

#include "worker/trainer/connectors/metric_value.h"
#include "worker/trainer/core/log_options.h"

namespace lctl {
namespace {

using checkpoint::Dict;
using checkpoint::List;
using checkpoint::Value;

Reduction reduction_of(const Dict& metric) {
  return static_cast<Reduction>(metric.at("reduce").as_int());
}

bool same_metric(const Dict& a, const Dict& b) {
  return a.at("hook").as_int() == b.at("hook").as_int() &&
         a.at("key").as_string() == b.at("key").as_string() &&
         a.at("dataloader_idx").as_int() == b.at("dataloader_idx").as_int();
}

// `into`, with what `other` has accumulated.
Dict merged(Dict into, const Dict& other) {
  MetricValue value(into.at("value").as_tensor());
  const MetricValue more(other.at("value").as_tensor());
  switch (reduction_of(into)) {
    case Reduction::kMin:
      value.keep_min(more);
      break;
    case Reduction::kMax:
      value.keep_max(more);
      break;
    default:
      value.add(more);
      break;
  }
  into.set("value", value.tensor());
  into.set("count", into.at("count").as_int() + other.at("count").as_int());
  into.set("has_reset", into.at("has_reset").as_bool() && other.at("has_reset").as_bool());
  return into;
}

// As it was before anything was logged; it still takes part when ranks reduce it.
Dict emptied(Dict metric) {
  const bool wide = MetricValue(metric.at("value").as_tensor()).is_wide();
  double nothing = 0;
  if (reduction_of(metric) == Reduction::kMin) nothing = std::numeric_limits<double>::infinity();
  if (reduction_of(metric) == Reduction::kMax) nothing = -std::numeric_limits<double>::infinity();
  metric.set("value", MetricValue(nothing, wide).tensor());
  metric.set("count", std::int64_t{0});
  return metric;
}

const List& metrics_of(const Dict& state) {
  return state.at("results").as_dict().at("train_results").as_list();
}

void set_metrics(Dict& state, List metrics) {
  Dict results = state.at("results").as_dict();
  results.set("train_results", std::move(metrics));
  state.set("results", std::move(results));
}

}  // namespace

Dict regrouped_state(const List& ranks, int rank, int world_size, std::uint64_t seed) {
  const auto before = static_cast<std::int64_t>(ranks.size());
  Dict state = ranks[static_cast<std::size_t>(rank % before)].as_dict();
  List metrics;
  if (rank >= before) {
    for (const Value& metric : metrics_of(state)) metrics.emplace_back(emptied(metric.as_dict()));
    // Of the rank's own seed and number; the bits are those of the seed.
    state.set("reseed", static_cast<std::int64_t>(seed + static_cast<std::uint64_t>(rank) *
                                                             0x9E3779B97F4A7C15ULL));
  } else {
    for (const Value& metric : metrics_of(state)) {
      Dict sum = metric.as_dict();
      for (std::int64_t gone = rank + world_size; gone < before; gone += world_size) {
        for (const Value& other : metrics_of(ranks[static_cast<std::size_t>(gone)].as_dict())) {
          if (same_metric(sum, other.as_dict())) sum = merged(std::move(sum), other.as_dict());
        }
      }
      metrics.emplace_back(std::move(sum));
    }
  }
  set_metrics(state, std::move(metrics));
  return state;
}

}  // namespace lctl
