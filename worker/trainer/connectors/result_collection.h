// The values that self.log has received since the last reset, by hook and name.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/trainer/checkpoint/value.h"
#include "worker/trainer/connectors/metric_value.h"
#include "worker/trainer/core/hook.h"
#include "worker/trainer/core/log_options.h"

namespace lctl {

// Reduces over all ranks; every rank calls it in the same order.
using MetricReduce = std::function<at::Tensor(const at::Tensor& value, Reduction op)>;

// One self.log call, levels resolved.
struct LogCall {
  Hook hook = Hook::kNone;
  std::string_view name;
  bool on_step = false;
  bool on_epoch = false;
  bool sync = false;  // all-reduce: sync_dist in a distributed run, and not rank_zero_only
  const LogOptions* options = nullptr;
};

// An accumulator. Names are made once, so that a step does no string work.
struct ResultMetric {
  Hook hook = Hook::kNone;
  std::string key;  // as given to self.log
  std::int64_t dataloader_idx = -1;
  bool prog_bar = false;
  bool logger = true;
  bool on_step = false;
  bool on_epoch = false;
  bool sync = false;
  bool add_dataloader_idx = true;
  bool enable_graph = false;
  bool rank_zero_only = false;
  Reduction reduce_fx = Reduction::kMean;

  std::string name;       // key, with the loader's suffix
  std::string step_name;  // name under which a step value goes to loggers
  std::string epoch_name;

  bool has_reset = true;
  bool written = false;    // its step value went to the loggers and has not been logged since
  MetricValue value;       // accumulated
  std::int64_t count = 0;  // cumulated batch size
  std::optional<MetricValue> step_value;  // of the newest call
  std::optional<MetricValue> computed;    // epoch value, until the next update
  bool restored = false;  // `sync` is that of the run before, perhaps on other ranks

  void reset();
};

// Which dictionaries a value goes into.
struct MetricSinks {
  MetricDict* callback = nullptr;
  MetricDict* log = nullptr;
  MetricDict* progress_bar = nullptr;
};

// Thread rule: one strand only (the training thread).
class ResultCollection {
 public:
  explicit ResultCollection(bool training) : training_(training) {}

  // Batch size for weighted means: asked for at most once a batch. Returns 0 when it cannot be
  // told.
  using InferBatchSize = std::function<std::int64_t()>;

  void log(const LogCall& call, const MetricValue& value, const InferBatchSize& infer,
           const MetricReduce& reduce);

  // Adds the current step values (on_step) or epoch values to the dictionaries, as Lightning does.
  // Epoch values are reduced over the `world_size` ranks here, once.
  void collect(bool on_step, const MetricSinks& sinks, const MetricReduce& reduce,
               std::int64_t world_size);

  // Before and after step values go to the loggers: says once of each value that it is an old one.
  void warn_of_stale_steps() const;
  void mark_steps_written();

  void reset();
  void reset_hook(Hook hook);
  bool empty() const { return metrics_.empty(); }

  void begin_batch(std::optional<std::int64_t> dataloader_idx);
  void end_batch() { batch_size_.reset(); }
  void set_dataloader_idx(std::int64_t index) { dataloader_idx_ = index; }

  // For exact resume: accumulators of an epoch that is under way.
  checkpoint::List state() const;
  void load_state(const checkpoint::List& state);

 private:
  ResultMetric& find_or_add(const LogCall& call);
  void compute(ResultMetric& metric, const MetricReduce& reduce, std::int64_t world_size);

  bool training_;
  std::vector<std::unique_ptr<ResultMetric>> metrics_;  // in order of first logging
  std::int64_t dataloader_idx_ = -1;
  std::optional<std::int64_t> batch_size_;  // of this batch, once inferred
};

}  // namespace lctl
