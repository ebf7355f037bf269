#include "worker/trainer/factory/callbacks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "worker/trainer/callbacks/early_stopping.h"
#include "worker/trainer/callbacks/gradient_accumulation_scheduler.h"
#include "worker/trainer/callbacks/hook_trace.h"
#include "worker/trainer/callbacks/learning_rate_monitor.h"
#include "worker/trainer/callbacks/model_checkpoint.h"
#include "worker/trainer/callbacks/model_summary.h"
#include "worker/trainer/callbacks/progress_bar.h"
#include "worker/trainer/callbacks/run_summary.h"
#include "worker/trainer/callbacks/timer.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/factory/trainer_options.h"

namespace lctl {
namespace {

using jobspec::Arguments;

std::shared_ptr<Callback> make_model_checkpoint(const Arguments& arguments) {
  ModelCheckpointOptions options;
  options.dirpath = arguments.get_optional_string("dirpath");
  options.filename = arguments.get_optional_string("filename");
  options.monitor = arguments.get_optional_string("monitor");
  options.verbose = arguments.get_bool("verbose");
  const jobspec::Value& last = arguments.get("save_last");
  options.save_last = last.is_string()                   ? SaveLast::kLink
                      : last.is_bool() && last.as_bool() ? SaveLast::kYes
                                                         : SaveLast::kNo;
  options.save_top_k = arguments.get_int("save_top_k");
  options.save_on_exception = arguments.get_bool("save_on_exception");
  options.save_weights_only = arguments.get_bool("save_weights_only");
  options.mode = arguments.get_string("mode");
  options.auto_insert_metric_name = arguments.get_bool("auto_insert_metric_name");
  options.every_n_train_steps = arguments.get_optional_int("every_n_train_steps");
  if (const auto& interval = arguments.get("train_time_interval"); !interval.is_null()) {
    options.train_time_interval = seconds_of(interval, "train_time_interval");
  }
  options.every_n_epochs = arguments.get_optional_int("every_n_epochs");
  options.save_on_train_epoch_end = arguments.get_optional_bool("save_on_train_epoch_end");
  options.enable_version_counter = arguments.get_bool("enable_version_counter");
  return std::make_shared<ModelCheckpoint>(std::move(options));
}

std::shared_ptr<Callback> make_early_stopping(const Arguments& arguments) {
  EarlyStoppingOptions options;
  options.monitor = arguments.get_string("monitor");
  options.min_delta = arguments.get_double("min_delta");
  options.patience = arguments.get_int("patience");
  options.verbose = arguments.get_bool("verbose");
  options.mode = arguments.get_string("mode");
  options.strict = arguments.get_bool("strict");
  options.check_finite = arguments.get_bool("check_finite");
  options.stopping_threshold = arguments.get_optional_double("stopping_threshold");
  options.divergence_threshold = arguments.get_optional_double("divergence_threshold");
  options.check_on_train_epoch_end = arguments.get_optional_bool("check_on_train_epoch_end");
  options.log_rank_zero_only = arguments.get_bool("log_rank_zero_only");
  return std::make_shared<EarlyStopping>(std::move(options));
}

std::shared_ptr<Callback> make_learning_rate_monitor(const Arguments& arguments) {
  LearningRateMonitorOptions options;
  options.logging_interval = arguments.get_optional_string("logging_interval");
  options.log_momentum = arguments.get_bool("log_momentum");
  options.log_weight_decay = arguments.get_bool("log_weight_decay");
  return std::make_shared<LearningRateMonitor>(std::move(options));
}

std::shared_ptr<Callback> make_gradient_accumulation_scheduler(const Arguments& arguments) {
  std::map<std::int64_t, std::int64_t> scheduling;
  for (const jobspec::Value::Entry& entry : arguments.get("scheduling").map()) {
    std::int64_t epoch = 0;
    const char* end = entry.key.data() + entry.key.size();
    const auto [stop, error] = std::from_chars(entry.key.data(), end, epoch);
    if (error != std::errc() || stop != end || !entry.value.is_int()) {
      throw MisconfigurationException(fmt::format(
          "GradientAccumulationScheduler: scheduling maps epochs to factors, both ints; "
          "got {}: {}",
          entry.key, entry.value.preview()));
    }
    scheduling[epoch] = entry.value.as_int();
  }
  return std::make_shared<GradientAccumulationScheduler>(std::move(scheduling));
}

std::shared_ptr<Callback> make_timer(const Arguments& arguments) {
  TimerOptions options;
  if (const auto& duration = arguments.get("duration"); !duration.is_null()) {
    options.duration = seconds_of(duration, "duration");
  }
  options.interval = arguments.get_string("interval");
  options.verbose = arguments.get_bool("verbose");
  return std::make_shared<Timer>(std::move(options));
}

using Make = std::shared_ptr<Callback> (*)(const Arguments& arguments, bool rank_zero);

struct Entry {
  std::string_view name;
  Make make;
};

constexpr std::array<Entry, 9> kCallbacks = {{
    {"ModelCheckpoint", [](const Arguments& a, bool) { return make_model_checkpoint(a); }},
    {"EarlyStopping", [](const Arguments& a, bool) { return make_early_stopping(a); }},
    {"LearningRateMonitor", [](const Arguments& a, bool) { return make_learning_rate_monitor(a); }},
    {"GradientAccumulationScheduler",
     [](const Arguments& a, bool) { return make_gradient_accumulation_scheduler(a); }},
    {"Timer", [](const Arguments& a, bool) { return make_timer(a); }},
    {"TQDMProgressBar",
     [](const Arguments& a, bool) -> std::shared_ptr<Callback> {
       return std::make_shared<ProgressBar>("TQDMProgressBar", a.get_int("refresh_rate"));
     }},
    {"ModelSummary",
     [](const Arguments& a, bool) -> std::shared_ptr<Callback> {
       return std::make_shared<ModelSummary>(a.get_int("max_depth"));
     }},
    {"HookTrace",
     [](const Arguments& a, bool rank_zero) -> std::shared_ptr<Callback> {
       return std::make_shared<HookTrace>(a.get_string("path"), rank_zero);
     }},
    {"RunSummary",
     [](const Arguments& a, bool) -> std::shared_ptr<Callback> {
       return std::make_shared<RunSummary>(a.get_string("path"));
     }},
}};

bool has_kind(const std::vector<std::shared_ptr<Callback>>& callbacks, Callback::Kind kind) {
  return std::any_of(callbacks.begin(), callbacks.end(),
                     [kind](const auto& callback) { return callback->kind() == kind; });
}

void check_conflicts(const std::vector<std::shared_ptr<Callback>>& callbacks,
                     const TrainerOptions& options) {
  if (!options.enable_checkpointing && has_kind(callbacks, Callback::Kind::kCheckpoint)) {
    throw MisconfigurationException(
        "Trainer was configured with `enable_checkpointing=False` but found `ModelCheckpoint` in "
        "callbacks list.");
  }
  const auto bars = std::count_if(callbacks.begin(), callbacks.end(), [](const auto& callback) {
    return callback->kind() == Callback::Kind::kProgressBar;
  });
  if (bars > 1) {
    throw MisconfigurationException(
        "You added multiple progress bar callbacks to the Trainer, but currently only one progress "
        "bar is supported.");
  }
  if (!options.enable_progress_bar && bars > 0) {
    throw MisconfigurationException(
        "Trainer was configured with `enable_progress_bar=False` but found `TQDMProgressBar` in "
        "callbacks list.");
  }
  for (std::size_t i = 0; i < callbacks.size(); ++i) {
    const bool stateful = callbacks[i]->state_dict().size() > 0;
    for (std::size_t j = 0; stateful && j < i; ++j) {
      if (callbacks[i]->state_key() != callbacks[j]->state_key()) continue;
      throw MisconfigurationException(fmt::format(
          "Found more than one stateful callback of type `{}`. In the current configuration, "
          "this callback does not support being saved alongside other instances of the same "
          "type.",
          callbacks[i]->type_name()));
    }
  }
}

}  // namespace

std::shared_ptr<Callback> make_callback(const jobspec::ClassSpec& spec, bool rank_zero) {
  for (const Entry& entry : kCallbacks) {
    if (spec.class_name == entry.name) return entry.make(spec.init_args, rank_zero);
  }
  throw MisconfigurationException("trainer.callbacks: unknown class '" + spec.class_name + "'");
}

std::vector<std::shared_ptr<Callback>> make_callbacks(const std::vector<jobspec::ClassSpec>& specs,
                                                      const TrainerOptions& options,
                                                      bool rank_zero) {
  std::vector<std::shared_ptr<Callback>> callbacks;
  for (const jobspec::ClassSpec& spec : specs) callbacks.push_back(make_callback(spec, rank_zero));
  check_conflicts(callbacks, options);
  if (options.max_time.has_value()) {
    const bool has_timer =
        std::any_of(callbacks.begin(), callbacks.end(),
                    [](const auto& callback) { return callback->type_name() == "Timer"; });
    if (has_timer) {
      console::info("Ignoring `Trainer(max_time=...)`, callbacks list already contains a Timer.");
    } else {
      callbacks.push_back(std::make_shared<Timer>(TimerOptions{.duration = options.max_time}));
    }
  }
  if (options.enable_progress_bar && !has_kind(callbacks, Callback::Kind::kProgressBar)) {
    callbacks.push_back(std::make_shared<ProgressBar>("TQDMProgressBar", 1));
  }
  if (options.enable_model_summary && !has_kind(callbacks, Callback::Kind::kModelSummary)) {
    callbacks.push_back(std::make_shared<ModelSummary>(1));
  }
  if (options.enable_checkpointing && !has_kind(callbacks, Callback::Kind::kCheckpoint)) {
    callbacks.push_back(std::make_shared<ModelCheckpoint>(ModelCheckpointOptions{}));
  }
  return callbacks;
}

std::vector<std::string_view> callback_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kCallbacks) names.push_back(entry.name);
  return names;
}

}  // namespace lctl
