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

// A float above 1 must be whole and then counts batches; a negative number is refused.
void settle_limit(Limit& limit, std::string_view name) {
  double value = std::visit([](auto number) { return static_cast<double>(number); }, limit);
  const bool is_int = std::holds_alternative<std::int64_t>(limit);
  const bool valid =
      is_int ? value >= 0 : (value >= 0 && (value <= 1 || value == std::floor(value)));
  if (!valid) {
    throw MisconfigurationException(fmt::format(
        "You have passed invalid value {} for {}, it has to be in [0.0, 1.0] or an int.",
        is_int ? std::to_string(std::get<std::int64_t>(limit)) : python_repr(value), name));
  }
  if (!is_int && value > 1) limit = static_cast<std::int64_t>(value);
}

void settle_barebones(TrainerOptions& options) {
  if (!options.barebones) return;
  options.enable_checkpointing = false;
  options.enable_progress_bar = false;
  options.enable_model_summary = false;
  options.log_every_n_steps = 0;
  options.num_sanity_val_steps = 0;
}

void settle_fast_dev_run(TrainerOptions& options) {
  const std::int64_t n = options.fast_dev_run;
  if (n < 0) {
    throw MisconfigurationException(
        fmt::format("fast_dev_run={} is not a valid configuration. It should be >= 0.", n));
  }
  if (n == 0) return;
  if (is_zero(options.overfit_batches)) {
    options.limit_train_batches = n;
    options.limit_val_batches = n;
  }
  options.limit_test_batches = n;
  options.limit_predict_batches = n;
  options.max_steps = n;
  options.num_sanity_val_steps = 0;
  options.max_epochs = 1;
  options.val_check_interval = 1.0;
  options.val_check_time.reset();
  options.check_val_every_n_epoch = 1;
}

}  // namespace

TrainerOptions settle_options(TrainerOptions options) {
  settle_barebones(options);
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
  if (!options.check_val_every_n_epoch &&
      std::holds_alternative<double>(options.val_check_interval) && !options.val_check_time &&
      std::get<double>(options.val_check_interval) != 1.0) {
    throw MisconfigurationException(
        fmt::format("`val_check_interval` should be an integer or a time-based duration when "
                    "`check_val_every_n_epoch=None`, found {}.",
                    python_repr(std::get<double>(options.val_check_interval))));
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
  settle_fast_dev_run(options);
  settle_limit(options.limit_train_batches, "limit_train_batches");
  settle_limit(options.limit_val_batches, "limit_val_batches");
  settle_limit(options.limit_test_batches, "limit_test_batches");
  settle_limit(options.limit_predict_batches, "limit_predict_batches");
  settle_limit(options.overfit_batches, "overfit_batches");
  if (!options.val_check_time) settle_limit(options.val_check_interval, "val_check_interval");
  if (!is_zero(options.overfit_batches)) {
    options.limit_train_batches = options.overfit_batches;
    options.limit_val_batches = options.overfit_batches;
  }
  return options;
}

}  // namespace lctl
