#include "worker/trainer/trainer/options.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>
#include <string_view>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/python_format.h"

namespace lctl {
namespace {

// What Lightning says of a limit that was given as exactly 1 or 1.0: the two are easily confused.
void explain(const Argument<Limit>& limit, std::string_view name) {
  if (!limit.given()) return;
  std::string_view meaning;
  if (limit == Limit(std::int64_t{1})) {
    meaning = name == "limit_train_batches"  ? "1 batch per epoch will be used."
              : name == "val_check_interval" ? "validation will run after every batch."
                                             : "1 batch will be used.";
    console::info(fmt::format("`Trainer({}=1)` was configured so {}", name, meaning));
  } else if (limit == Limit(1.0)) {
    meaning = name == "limit_train_batches" ? "100% of the batches per epoch will be used."
              : name == "val_check_interval"
                  ? "validation will run at the end of the training epoch."
                  : "100% of the batches will be used.";
    console::info(fmt::format("`Trainer({}=1.0)` was configured so {}.", name, meaning));
  }
}

// A float above 1 must be whole and then counts batches; a negative number is refused.
void settle_limit(Argument<Limit>& argument, std::string_view name) {
  explain(argument, name);
  const Limit& limit = argument;
  double value = std::visit([](auto number) { return static_cast<double>(number); }, limit);
  const bool is_int = std::holds_alternative<std::int64_t>(limit);
  const bool valid =
      is_int ? value >= 0 : (value >= 0 && (value <= 1 || value == std::floor(value)));
  if (!valid) {
    throw MisconfigurationException(fmt::format(
        "You have passed invalid value {} for {}, it has to be in [0.0, 1.0] or an int.",
        is_int ? std::to_string(std::get<std::int64_t>(limit)) : python_repr(value), name));
  }
  if (!is_int && value > 1) argument = static_cast<std::int64_t>(value);
}

[[noreturn]] void refuse_in_barebones(std::string_view argument, std::string_view reason) {
  throw std::invalid_argument(fmt::format(
      "`Trainer(barebones=True, {})` was passed. {} so it is disabled in barebones mode.", argument,
      reason));
}

void check_barebones(const TrainerOptions& options) {
  constexpr std::string_view kLogging = "Logging can impact raw speed";
  const auto on = [](const TrainerOptions::Switch& argument) {
    return argument.given() && argument.value();
  };
  const auto counts = [](const TrainerOptions::Count& argument) {
    return argument.given() && argument.value() != 0;
  };
  if (on(options.enable_checkpointing))
    refuse_in_barebones("enable_checkpointing=True", "Checkpointing can impact raw speed");
  if (options.logger.given && (options.logger.use_default || !options.logger.loggers.empty())) {
    refuse_in_barebones(options.logger.use_default ? "logger=True" : "logger=...", kLogging);
  }
  if (on(options.enable_progress_bar))
    refuse_in_barebones("enable_progress_bar=True", "The progress bar can impact raw speed");
  if (counts(options.log_every_n_steps)) {
    refuse_in_barebones(fmt::format("log_every_n_steps={}", options.log_every_n_steps.value()),
                        kLogging);
  }
  if (on(options.enable_model_summary))
    refuse_in_barebones("enable_model_summary=True", "Model summary can impact raw speed");
  if (counts(options.num_sanity_val_steps)) {
    refuse_in_barebones(
        fmt::format("num_sanity_val_steps={}", options.num_sanity_val_steps.value()),
        "Sanity checking can impact raw speed");
  }
  if (options.fast_dev_run != 0) {
    refuse_in_barebones(options.fast_dev_run == 1
                            ? std::string("fast_dev_run=True")
                            : fmt::format("fast_dev_run={}", options.fast_dev_run),
                        "Development run is not meant for raw speed evaluation");
  }
  if (options.detect_anomaly)
    refuse_in_barebones("detect_anomaly=True", "Anomaly detection can impact raw speed");
  if (options.profiler.given()) {
    refuse_in_barebones("profiler=" + (options.profiler.name.empty()
                                           ? std::string("<a Profiler>")
                                           : python_repr(std::string_view(options.profiler.name))),
                        "Profiling can impact raw speed");
  }
}

void settle_barebones(TrainerOptions& options) {
  if (!options.barebones) return;
  check_barebones(options);
  options.enable_checkpointing.settle(false);
  options.enable_progress_bar.settle(false);
  options.enable_model_summary.settle(false);
  options.log_every_n_steps.settle(0);
  options.num_sanity_val_steps.settle(0);
  options.logger = LoggerArgument(false);
  console::info(
      "You are running in `Trainer(barebones=True)` mode. All features that may impact raw speed "
      "have been disabled to facilitate analyzing the Trainer overhead. Specifically, the "
      "following "
      "features are deactivated:\n"
      " - Checkpointing: `Trainer(enable_checkpointing=True)`\n"
      " - Progress bar: `Trainer(enable_progress_bar=True)`\n"
      " - Model summary: `Trainer(enable_model_summary=True)`\n"
      " - Logging: `Trainer(logger=True)`, `Trainer(log_every_n_steps>0)`, "
      "`LightningModule.log(...)`, `LightningModule.log_dict(...)`\n"
      " - Sanity checking: `Trainer(num_sanity_val_steps>0)`\n"
      " - Development run: `Trainer(fast_dev_run=True)`\n"
      " - Anomaly detection: `Trainer(detect_anomaly=True)`\n"
      " - Profiling: `Trainer(profiler=...)`");
}

void warn_of_benchmark(const TrainerOptions& options) {
  const bool deterministic =
      options.deterministic == Determinism::kOn || options.deterministic == Determinism::kWarn;
  if (!deterministic || !options.benchmark.value_or(false)) return;
  console::warn(
      "You passed `deterministic=True` and `benchmark=True`. Note that PyTorch ignores "
      "torch.backends.cudnn.deterministic=True when torch.backends.cudnn.benchmark=True.");
}

void settle_fast_dev_run(TrainerOptions& options) {
  const std::int64_t n = options.fast_dev_run;
  if (n == 0) return;
  if (is_zero(options.overfit_batches)) {
    options.limit_train_batches.settle(n);
    options.limit_val_batches.settle(n);
  }
  options.limit_test_batches.settle(n);
  options.limit_predict_batches.settle(n);
  options.max_steps = n;
  options.num_sanity_val_steps.settle(0);
  options.max_epochs = 1;
  options.val_check_interval.settle(1.0);
  options.val_check_time.reset();
  options.check_val_every_n_epoch = 1;
}

}  // namespace

TrainerOptions settle_options(TrainerOptions options) {
  settle_barebones(options);
  warn_of_benchmark(options);
  if (options.max_epochs && *options.max_epochs < -1) {
    throw MisconfigurationException(
        fmt::format("`max_epochs` must be a non-negative integer or -1. You passed in {}.",
                    *options.max_epochs));
  }
  if (options.max_steps < -1) {
    throw MisconfigurationException(fmt::format(
        "`max_steps` must be a non-negative integer or -1 (infinite steps). You passed in {}.",
        options.max_steps));
  }
  const auto* share = std::get_if<double>(&options.val_check_interval.value());
  if (!options.check_val_every_n_epoch && share != nullptr && !options.val_check_time &&
      (options.val_check_interval.given() || *share != 1.0)) {
    throw MisconfigurationException(
        "`val_check_interval` should be an integer or a time-based duration (str 'DD:HH:MM:SS', "
        "datetime.timedelta, or dict kwargs for timedelta) when `check_val_every_n_epoch=None`.");
  }
  if (options.reload_dataloaders_every_n_epochs < 0) {
    throw MisconfigurationException(
        fmt::format("`reload_dataloaders_every_n_epochs` should be an int >= 0, got {}.",
                    options.reload_dataloaders_every_n_epochs));
  }
  if (options.gradient_clip_algorithm != "norm" && options.gradient_clip_algorithm != "value") {
    throw MisconfigurationException(fmt::format(
        "`gradient_clip_algorithm` {} is invalid. Allowed algorithms: ['value', 'norm'].",
        options.gradient_clip_algorithm));
  }
  if (options.accumulate_grad_batches < 1) {
    throw MisconfigurationException(fmt::format(
        "`accumulate_grad_batches` must be an int >= 1, got {}.", options.accumulate_grad_batches));
  }
  if (options.fast_dev_run < 0) {
    throw MisconfigurationException(fmt::format(
        "fast_dev_run={} is not a valid configuration. It should be >= 0.", options.fast_dev_run));
  }
  settle_limit(options.overfit_batches, "overfit_batches");
  settle_fast_dev_run(options);
  if (is_zero(options.overfit_batches)) {
    settle_limit(options.limit_train_batches, "limit_train_batches");
    settle_limit(options.limit_val_batches, "limit_val_batches");
  } else {
    options.limit_train_batches.settle(options.overfit_batches);
    options.limit_val_batches.settle(options.overfit_batches);
  }
  settle_limit(options.limit_test_batches, "limit_test_batches");
  settle_limit(options.limit_predict_batches, "limit_predict_batches");
  if (!options.val_check_time) settle_limit(options.val_check_interval, "val_check_interval");
  return options;
}

}  // namespace lctl
