#include "worker/trainer/connectors/result_collection.h"

#include <limits>
#include <stdexcept>
#include <utility>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"

namespace lctl {
namespace {

double initial_value(Reduction reduction) {
  switch (reduction) {
    case Reduction::kMax:
      return -std::numeric_limits<double>::infinity();
    case Reduction::kMin:
      return std::numeric_limits<double>::infinity();
    default:
      return 0.0;
  }
}

bool same_arguments(const ResultMetric& metric, const LogCall& call, std::int64_t dataloader_idx) {
  const LogOptions& options = *call.options;
  return metric.prog_bar == options.prog_bar && metric.logger == options.logger.value_or(true) &&
         metric.on_step == call.on_step && metric.on_epoch == call.on_epoch &&
         metric.sync == call.sync && metric.reduce_fx == options.reduce_fx &&
         metric.enable_graph == options.enable_graph &&
         metric.add_dataloader_idx == options.add_dataloader_idx &&
         metric.rank_zero_only == options.rank_zero_only && metric.dataloader_idx == dataloader_idx;
}

// The mean of the ranks' sample counts is truncated, as it is in Lightning.
std::int64_t mean_count(const ResultMetric& metric, const MetricReduce& reduce,
                        std::int64_t world_size) {
  const at::Tensor counts =
      metric.value.tensor().new_full({}, metric.count, at::TensorOptions(at::kLong));
  const std::int64_t sum = reduce(counts, Reduction::kSum).item().toLong();
  const std::int64_t mean = counts.new_full({}, sum).div(world_size).to(at::kLong).item().toLong();
  if (mean * world_size != sum) {
    console::warn("`self.log('" + metric.key +
                  "', ..., sync_dist=True)`: the ranks saw different numbers of samples, and the "
                  "mean of these counts is not a whole number. As in Lightning it is truncated, so "
                  "the logged mean is too large. Give every rank as many samples (drop_last=True, "
                  "or a size that the ranks divide), or validate with one device.");
  }
  return mean;
}

}  // namespace

void ResultMetric::reset() {
  value = MetricValue(initial_value(reduce_fx), false);
  count = 0;
  step_value.reset();
  computed.reset();
  has_reset = true;
  written = false;
}

ResultMetric& ResultCollection::find_or_add(const LogCall& call) {
  const LogOptions& options = *call.options;
  for (auto& metric : metrics_) {
    if (metric->hook != call.hook || metric->key != call.name) continue;
    if (options.add_dataloader_idx && metric->dataloader_idx != dataloader_idx_) continue;
    if (std::exchange(metric->restored, false)) metric->sync = call.sync;
    if (!same_arguments(*metric, call, dataloader_idx_)) {
      throw MisconfigurationException("You called `self.log(" + std::string(call.name) +
                                      ", ...)` twice in `" + std::string(hook_name(call.hook)) +
                                      "` with different arguments. This is not allowed");
    }
    return *metric;
  }
  auto metric = std::make_unique<ResultMetric>();
  metric->hook = call.hook;
  metric->key = call.name;
  metric->dataloader_idx = dataloader_idx_;
  metric->prog_bar = options.prog_bar;
  metric->logger = options.logger.value_or(true);
  metric->on_step = call.on_step;
  metric->on_epoch = call.on_epoch;
  metric->sync = call.sync;
  metric->add_dataloader_idx = options.add_dataloader_idx;
  metric->enable_graph = options.enable_graph;
  metric->rank_zero_only = options.rank_zero_only;
  metric->reduce_fx = options.reduce_fx;
  const bool forked = call.on_step && call.on_epoch;
  std::string suffix;
  if (options.add_dataloader_idx && dataloader_idx_ >= 0)
    suffix = "/dataloader_idx_" + std::to_string(dataloader_idx_);
  metric->name = metric->key + suffix;
  metric->step_name = metric->key + (forked ? "_step" : "") + suffix;
  metric->epoch_name = metric->key + (forked ? "_epoch" : "") + suffix;
  metric->reset();
  metrics_.push_back(std::move(metric));
  return *metrics_.back();
}

void ResultCollection::log(const LogCall& call, const MetricValue& value,
                           const InferBatchSize& infer, const MetricReduce& reduce) {
  ResultMetric& metric = find_or_add(call);
  metric.computed.reset();
  metric.has_reset = false;
  metric.written = false;
  if (metric.on_step) {
    metric.step_value =
        metric.sync ? MetricValue(reduce(value.tensor().clone(), metric.reduce_fx)) : value;
    if (!metric.on_epoch) return;
  }
  switch (metric.reduce_fx) {
    case Reduction::kMean: {
      std::int64_t batch_size = 1;
      if (call.options->batch_size) {
        batch_size = *call.options->batch_size;
      } else {
        if (!batch_size_) batch_size_ = infer();
        batch_size = *batch_size_;
      }
      metric.value.add_scaled(value, batch_size);
      metric.count += batch_size;
      return;
    }
    case Reduction::kMax:
      return metric.value.keep_max(value);
    case Reduction::kMin:
      return metric.value.keep_min(value);
    case Reduction::kSum:
      return metric.value.add(value);
  }
}

void ResultCollection::compute(ResultMetric& metric, const MetricReduce& reduce,
                               std::int64_t world_size) {
  if (world_size > 1 && !metric.sync && !metric.rank_zero_only) {
    console::warn("It is recommended to use `self.log('" + metric.key +
                  "', ..., sync_dist=True)` when logging on epoch level in distributed setting to "
                  "accumulate the metric "
                  "across devices.");
  }
  MetricValue value = metric.value;
  std::int64_t count = metric.count;
  if (metric.sync) {
    value = MetricValue(reduce(metric.value.tensor().clone(), metric.reduce_fx));
    if (metric.reduce_fx == Reduction::kMean) count = mean_count(metric, reduce, world_size);
  }
  metric.computed = metric.reduce_fx == Reduction::kMean ? value.divided_by(count) : value;
}

void ResultCollection::collect(bool on_step, const MetricSinks& sinks, const MetricReduce& reduce,
                               std::int64_t world_size) {
  for (auto& metric : metrics_) {
    if (metric->has_reset || metric->dataloader_idx != dataloader_idx_) continue;
    const MetricValue* value = nullptr;
    if (on_step) {
      if (!metric->on_step || !metric->step_value) continue;
      value = &*metric->step_value;
    } else {
      if (!metric->on_epoch) continue;
      if (!metric->computed) compute(*metric, reduce, world_size);
      value = &*metric->computed;
    }
    const std::string& forked = on_step ? metric->step_name : metric->epoch_name;
    if (sinks.log && metric->logger) sinks.log->set(forked, *value);
    if (sinks.callback && (training_ || (metric->on_epoch && !on_step))) {
      sinks.callback->set(metric->name, *value);
      if (forked != metric->name) sinks.callback->set(forked, *value);
    }
    if (sinks.progress_bar && metric->prog_bar) sinks.progress_bar->set(forked, *value);
  }
}

void ResultCollection::warn_of_stale_steps() const {
  for (const auto& metric : metrics_) {
    if (metric->has_reset || !metric->step_value || !metric->written || !metric->logger) continue;
    console::warn("`self.log('" + metric->key + "', ...)` in `" +
                  std::string(hook_name(metric->hook)) +
                  "` was not called since its last value was written: as in Lightning, the old "
                  "value is written again at every logged step of the epoch. Log it at every step, "
                  "or with on_step=False, on_epoch=True.");
  }
}

void ResultCollection::mark_steps_written() {
  for (auto& metric : metrics_) metric->written = metric->step_value.has_value();
}

void ResultCollection::reset() {
  for (auto& metric : metrics_) metric->reset();
}

void ResultCollection::reset_hook(Hook hook) {
  for (auto& metric : metrics_) {
    const bool same_loader = !metric->add_dataloader_idx || metric->dataloader_idx < 0;
    if (metric->hook == hook && same_loader) metric->reset();
  }
}

void ResultCollection::begin_batch(std::optional<std::int64_t> dataloader_idx) {
  batch_size_.reset();
  dataloader_idx_ = dataloader_idx.value_or(-1);
}

checkpoint::List ResultCollection::state() const {
  checkpoint::List state;
  for (const auto& metric : metrics_) {
    checkpoint::Dict item;
    item.set("hook", static_cast<std::int64_t>(metric->hook));
    item.set("key", metric->key);
    item.set("dataloader_idx", metric->dataloader_idx);
    std::int64_t flags = 0;
    for (const bool flag :
         {metric->prog_bar, metric->logger, metric->on_step, metric->on_epoch, metric->sync,
          metric->add_dataloader_idx, metric->enable_graph, metric->rank_zero_only}) {
      flags = flags * 2 + (flag ? 1 : 0);
    }
    item.set("flags", flags);
    item.set("reduce", static_cast<std::int64_t>(metric->reduce_fx));
    item.set("has_reset", metric->has_reset);
    item.set("value", metric->value.tensor());
    item.set("count", metric->count);
    if (metric->step_value) item.set("step_value", metric->step_value->tensor());
    state.emplace_back(std::move(item));
  }
  return state;
}

void ResultCollection::load_state(const checkpoint::List& state) {
  metrics_.clear();
  for (const checkpoint::Value& value : state) {
    const checkpoint::Dict& item = value.as_dict();
    const std::int64_t hook = item.at("hook").as_int();
    const std::int64_t reduction = item.at("reduce").as_int();
    if (hook < 0 || hook >= kHookCount || reduction < 0 || reduction > 3) {
      throw std::runtime_error("checkpoint: the logged results hold an unknown hook or reduction");
    }
    const std::int64_t flags = item.at("flags").as_int();
    const auto flag = [&](int position) { return ((flags >> (7 - position)) & 1) != 0; };
    LogOptions options;
    options.prog_bar = flag(0);
    options.logger = flag(1);
    options.add_dataloader_idx = flag(5);
    options.enable_graph = flag(6);
    options.rank_zero_only = flag(7);
    options.reduce_fx = static_cast<Reduction>(reduction);
    dataloader_idx_ = item.at("dataloader_idx").as_int();
    ResultMetric& metric = find_or_add(
        {static_cast<Hook>(hook), item.at("key").as_string(), flag(2), flag(3), flag(4), &options});
    metric.restored = true;
    metric.has_reset = item.at("has_reset").as_bool();
    metric.value = MetricValue(item.at("value").as_tensor());
    metric.count = item.at("count").as_int();
    if (const auto* step_value = item.find("step_value"))
      metric.step_value = MetricValue(step_value->as_tensor());
  }
  dataloader_idx_ = -1;
}

}  // namespace lctl
