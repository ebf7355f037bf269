#include "worker/trainer/tuner/batch_size_finder.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <stdexcept>
#include <utility>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/trainer/trainer.h"
#include "worker/trainer/tuner/trial.h"

namespace lctl {
namespace {

// Where Lightning limits a size only by its default argument.
constexpr std::int64_t kDefaultMaxVal = 8192;

}  // namespace

bool is_out_of_memory(std::string_view message) {
  const auto has = [message](std::string_view text) {
    return message.find(text) != std::string_view::npos;
  };
  return (has("CUDA") && has("out of memory")) || has("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED.") ||
         has("DefaultCPUAllocator: can't allocate memory");
}

BatchSizeFinder::BatchSizeFinder(ScaleBatchSizeOptions options) : options_(std::move(options)) {
  if (options_.mode != "power" && options_.mode != "binsearch") {
    throw std::invalid_argument("`mode` should be either of ('power', 'binsearch')");
  }
  if (!(options_.margin >= 0 && options_.margin < 1)) {
    throw std::invalid_argument(
        fmt::format("`margin` should be between 0 and 1. Found margin={}", options_.margin));
  }
}

void BatchSizeFinder::setup(Trainer& trainer, TrainableModule& /*module*/,
                            std::string_view /*stage*/) {
  if (trainer.world_size() > 1) {
    throw MisconfigurationException(
        "The Batch size finder is not supported with distributed strategies.");
  }
  LightningDataModule* data = trainer.data_module();
  if (data == nullptr || data->batch_size() == 0 || options_.batch_arg_name != "batch_size") {
    throw MisconfigurationException(
        fmt::format("Field {} not found in `model`, `datamodule`, nor their `hparams` attributes.",
                    options_.batch_arg_name));
  }
}

void BatchSizeFinder::on_fit_start(Trainer& trainer, TrainableModule& /*module*/) {
  if (trainer.options().fast_dev_run > 0) {
    console::warn("Skipping batch size scaler since `fast_dev_run` is enabled.");
  } else {
    found_ = search(trainer);
  }
  throw TunerExit();
}

std::int64_t BatchSizeFinder::search(Trainer& trainer) {
  Trial trial(trainer, "scale_batch_size");
  trainer.options().limit_train_batches = 1.0;
  trainer.options().limit_val_batches = options_.steps_per_trial;
  trainer.options().max_steps = options_.steps_per_trial;
  const std::int64_t first =
      adjust(trainer, options_.init_val, Outcome::kNone, kDefaultMaxVal).value;
  const std::int64_t size = options_.mode == "power" ? by_power(trainer, trial, first)
                                                     : by_bisection(trainer, trial, first);
  console::info(fmt::format(
      "Finished batch size finder, will continue with full run using batch size {}", size));
  trial.give_back();
  trial.reload_data(/*reload_validation=*/true);
  trial.restore();
  return size;
}

bool BatchSizeFinder::fits(Trial& trial) {
  try {
    trial.run();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error.what())) throw;
    return false;
  }
}

BatchSizeFinder::Size BatchSizeFinder::adjust(Trainer& trainer, std::int64_t wanted, Outcome before,
                                              std::int64_t limit) const {
  LightningDataModule& data = *trainer.data_module();
  const std::int64_t current = data.batch_size();
  trainer.fit_loop().setup_data();
  const std::optional<std::int64_t> samples = trainer.fit_loop().dataset_length();
  if (samples && current >= *samples) {
    console::info(
        fmt::format("The batch size {} is greater or equal than the length of your dataset: {}.",
                    current, *samples));
    return {current, false};
  }
  if (wanted > limit) {
    if (before != Outcome::kNone) {
      console::info(fmt::format("Batch size {} exceeds max_val limit {}, capping at {}", wanted,
                                limit, limit));
    }
    wanted = limit;
  }
  if (before != Outcome::kNone) {
    console::info(fmt::format("Batch size {} {}, trying batch size {}", current,
                              before == Outcome::kSucceeded ? "succeeded" : "failed", wanted));
  }
  if (wanted < 1) {
    throw std::runtime_error(fmt::format(
        "batch size finder: not even one sample fits into memory (batch size {})", current));
  }
  data.set_batch_size(wanted);
  return {wanted, wanted != current};
}

std::int64_t BatchSizeFinder::by_power(Trainer& trainer, Trial& trial, std::int64_t size) const {
  bool any_success = false;
  for (std::int64_t i = 0; i < options_.max_trials; ++i) {
    if (size >= options_.max_val) {
      console::info(fmt::format("Reached the maximum batch size limit of {}. Stopping search.",
                                options_.max_val));
      break;
    }
    const std::int64_t current = trainer.data_module()->batch_size();
    if (fits(trial)) {
      if (i + 1 >= options_.max_trials) break;
      const Size next = adjust(trainer, current * 2, Outcome::kSucceeded, kDefaultMaxVal);
      size = next.value;
      if (!next.changed) break;
      trial.reload_data(/*reload_validation=*/true);
      any_success = true;
    } else {
      size = adjust(trainer, current / 2, Outcome::kFailed, kDefaultMaxVal).value;
      trial.reload_data(/*reload_validation=*/true);
      if (any_success) break;
    }
  }
  return size;
}

std::int64_t BatchSizeFinder::by_bisection(Trainer& trainer, Trial& trial,
                                           std::int64_t size) const {
  std::int64_t low = 1;
  std::optional<std::int64_t> high;
  std::int64_t trials = 0;
  while (true) {
    if (size >= options_.max_val) {
      console::info(fmt::format("Reached the maximum batch size limit of {}. Stopping search.",
                                options_.max_val));
      break;
    }
    if (fits(trial)) {
      if (++trials >= options_.max_trials) break;
      low = size;
      if (high && *high - low <= 1) break;
      const std::int64_t wanted =
          high ? (*high + low) / 2 : trainer.data_module()->batch_size() * 2;
      const Size next = adjust(trainer, wanted, Outcome::kSucceeded, options_.max_val);
      size = next.value;
      if (!next.changed) break;
      trial.reload_data(/*reload_validation=*/true);
    } else {
      high = size;
      size = adjust(trainer, (*high + low) / 2, Outcome::kFailed, kDefaultMaxVal).value;
      trial.reload_data(/*reload_validation=*/true);
      if (*high - low <= 1) break;
    }
  }
  const auto reduced = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(static_cast<double>(size) * (1 - options_.margin)));
  if (options_.margin > 0 && reduced != size) {
    console::info(fmt::format("Applying margin of {:.1f}%, reducing batch size from {} to {}",
                              options_.margin * 100, size, reduced));
    size = reduced;
    trainer.data_module()->set_batch_size(size);
  }
  return size;
}

}  // namespace lctl
