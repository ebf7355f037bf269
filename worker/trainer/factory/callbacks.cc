#include "worker/trainer/factory/callbacks.h"

#include <c10/core/Device.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "worker/trainer/callbacks/backbone_finetuning.h"
#include "worker/trainer/callbacks/device_stats_monitor.h"
#include "worker/trainer/callbacks/early_stopping.h"
#include "worker/trainer/callbacks/finite_guard.h"
#include "worker/trainer/callbacks/gradient_accumulation_scheduler.h"
#include "worker/trainer/callbacks/hook_trace.h"
#include "worker/trainer/callbacks/learning_rate_monitor.h"
#include "worker/trainer/callbacks/model_checkpoint.h"
#include "worker/trainer/callbacks/model_summary.h"
#include "worker/trainer/callbacks/on_exception_checkpoint.h"
#include "worker/trainer/callbacks/progress_bar.h"
#include "worker/trainer/callbacks/replica_check.h"
#include "worker/trainer/callbacks/run_summary.h"
#include "worker/trainer/callbacks/spike_detection.h"
#include "worker/trainer/callbacks/stochastic_weight_averaging.h"
#include "worker/trainer/callbacks/throughput_monitor.h"
#include "worker/trainer/callbacks/timer.h"
#include "worker/trainer/callbacks/weight_averaging.h"
#include "worker/trainer/connectors/callback_connector.h"
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

// "cpu", "cuda", "cuda:1"; refused here rather than when the first average is taken.
std::optional<std::string> device_of(const Arguments& arguments) {
  std::optional<std::string> device = arguments.get_optional_string("device");
  try {
    if (device) static_cast<void>(c10::Device(*device));
  } catch (const c10::Error&) {
    throw MisconfigurationException(fmt::format(
        "trainer.callbacks: device: '{}' is no device; give cpu, cuda, cuda:N or null", *device));
  }
  return device;
}

std::shared_ptr<Callback> make_stochastic_weight_averaging(const Arguments& arguments) {
  StochasticWeightAveragingOptions options;
  // As in Lightning an int is refused: the constructor says how it must be.
  const jobspec::Value& lrs = arguments.get("swa_lrs");
  if (lrs.is_float()) options.swa_lrs = {lrs.as_double()};
  if (lrs.is_list()) {
    for (const jobspec::Value& lr : lrs.list()) {
      options.swa_lrs.push_back(lr.is_float() ? lr.as_double() : -1);
    }
  }
  const jobspec::Value& start = arguments.get("swa_epoch_start");
  if (start.is_int()) {
    options.swa_epoch_start = start.as_int();
  } else {
    options.swa_epoch_start = start.as_double();
  }
  options.annealing_epochs = arguments.get_int("annealing_epochs");
  options.annealing_strategy = arguments.get_string("annealing_strategy");
  options.device = device_of(arguments);
  return std::make_shared<StochasticWeightAveraging>(std::move(options));
}

WeightAveragingOptions weight_averaging_options(const Arguments& arguments) {
  return {.device = device_of(arguments), .use_buffers = arguments.get_bool("use_buffers")};
}

std::shared_ptr<Callback> make_ema_weight_averaging(const Arguments& arguments) {
  EmaWeightAveragingOptions options;
  options.base = weight_averaging_options(arguments);
  options.decay = arguments.get_double("decay");
  options.update_every_n_steps = arguments.get_int("update_every_n_steps");
  options.update_starting_at_step = arguments.get_optional_int("update_starting_at_step");
  options.update_starting_at_epoch = arguments.get_optional_int("update_starting_at_epoch");
  return std::make_shared<EMAWeightAveraging>(options);
}

std::shared_ptr<Callback> make_backbone_finetuning(const Arguments& arguments) {
  BackboneFinetuningOptions options;
  options.unfreeze_backbone_at_epoch = arguments.get_int("unfreeze_backbone_at_epoch");
  options.backbone_initial_ratio_lr = arguments.get_double("backbone_initial_ratio_lr");
  options.backbone_initial_lr = arguments.get_optional_double("backbone_initial_lr");
  options.should_align = arguments.get_bool("should_align");
  options.initial_denom_lr = arguments.get_double("initial_denom_lr");
  options.train_bn = arguments.get_bool("train_bn");
  options.verbose = arguments.get_bool("verbose");
  options.rounding = arguments.get_int("rounding");
  return std::make_shared<BackboneFinetuning>(std::move(options));
}

NonFiniteAction non_finite_action(std::string_view action) {
  if (action == "skip") return NonFiniteAction::kSkip;
  return action == "roll_back" ? NonFiniteAction::kRollBack : NonFiniteAction::kStop;
}

std::shared_ptr<Callback> make_spike_detection(const Arguments& arguments) {
  SpikeDetectionOptions options;
  options.mode = arguments.get_string("mode");
  options.window = arguments.get_int("window");
  options.warmup = arguments.get_int("warmup");
  options.atol = arguments.get_optional_double("atol");
  options.rtol = arguments.get_optional_double("rtol");
  options.exclude_batches_path = arguments.get_optional_string("exclude_batches_path");
  options.finite_only = arguments.get_bool("finite_only");
  options.action =
      arguments.get_string("action") == "roll_back" ? SpikeAction::kRollBack : SpikeAction::kRaise;
  options.max_roll_backs = arguments.get_int("max_roll_backs");
  return std::make_shared<SpikeDetection>(std::move(options));
}

using Make = std::shared_ptr<Callback> (*)(const Arguments& arguments, bool rank_zero);

struct Entry {
  std::string_view name;
  Make make;
};

constexpr std::array<Entry, 19> kCallbacks = {{
    {"ModelCheckpoint", [](const Arguments& a, bool) { return make_model_checkpoint(a); }},
    {"EarlyStopping", [](const Arguments& a, bool) { return make_early_stopping(a); }},
    {"LearningRateMonitor", [](const Arguments& a, bool) { return make_learning_rate_monitor(a); }},
    {"GradientAccumulationScheduler",
     [](const Arguments& a, bool) { return make_gradient_accumulation_scheduler(a); }},
    {"Timer", [](const Arguments& a, bool) { return make_timer(a); }},
    {"StochasticWeightAveraging",
     [](const Arguments& a, bool) { return make_stochastic_weight_averaging(a); }},
    {"WeightAveraging",
     [](const Arguments& a, bool) -> std::shared_ptr<Callback> {
       return std::make_shared<WeightAveraging>(weight_averaging_options(a));
     }},
    {"EMAWeightAveraging", [](const Arguments& a, bool) { return make_ema_weight_averaging(a); }},
    {"BackboneFinetuning", [](const Arguments& a, bool) { return make_backbone_finetuning(a); }},
    {"DeviceStatsMonitor",
     [](const Arguments& a, bool) -> std::shared_ptr<Callback> {
       return std::make_shared<DeviceStatsMonitor>(a.get_optional_bool("cpu_stats"));
     }},
    {"ThroughputMonitor",
     [](const Arguments& a, bool) -> std::shared_ptr<Callback> {
       return std::make_shared<ThroughputMonitor>(ThroughputMonitorOptions{
           .window_size = a.get_int("window_size"), .separator = a.get_string("separator")});
     }},
    {"OnExceptionCheckpoint",
     [](const Arguments& a, bool) -> std::shared_ptr<Callback> {
       return std::make_shared<OnExceptionCheckpoint>(a.get_string("dirpath"),
                                                      a.get_string("filename"));
     }},
    {"FiniteGuard",
     [](const Arguments& a, bool) -> std::shared_ptr<Callback> {
       return std::make_shared<FiniteGuard>(
           FiniteGuardOptions{.action = non_finite_action(a.get_string("action")),
                              .max_skipped = a.get_int("max_skipped"),
                              .max_roll_backs = a.get_int("max_roll_backs")});
     }},
    {"SpikeDetection", [](const Arguments& a, bool) { return make_spike_detection(a); }},
    {"ReplicaCheck",
     [](const Arguments& a, bool) -> std::shared_ptr<Callback> {
       return std::make_shared<ReplicaCheck>(a.get_int("every_n_steps"));
     }},
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
  return complete_callbacks(std::move(callbacks), options);
}

std::vector<std::string_view> callback_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kCallbacks) names.push_back(entry.name);
  return names;
}

}  // namespace lctl
