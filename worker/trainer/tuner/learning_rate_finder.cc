#include "worker/trainer/tuner/learning_rate_finder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/random.h"
#include "worker/trainer/optim/lr_scheduler/torch_scheduler.h"
#include "worker/trainer/trainer/trainer.h"
#include "worker/trainer/tuner/trial.h"

namespace lctl {
namespace {

// From the groups' rates to max_lr in num_training steps. As in Lightning the first of these steps
// is left out: the second rate is that of 2 / num_training.
class RangeScheduler final : public TorchScheduler {
 public:
  RangeScheduler(Optimizer& optimizer, const LrFindOptions& options)
      : TorchScheduler(optimizer),
        max_lr_(options.max_lr),
        steps_(static_cast<double>(options.num_training)),
        linear_(options.mode == "linear") {}
  std::string type_name() const override { return linear_ ? "_LinearLR" : "_ExponentialLR"; }
  double lr() const { return lr_; }

 private:
  std::vector<double> next_lrs() override {
    std::vector<double> lrs = base_lrs();
    const double share = static_cast<double>(last_epoch() + 1) / steps_;
    if (last_epoch() > 0) {
      for (double& lr : lrs)
        lr = linear_ ? lr + share * (max_lr_ - lr) : lr * std::pow(max_lr_ / lr, share);
    }
    lr_ = lrs.front();
    return lrs;
  }
  void own_fields(StateFields& /*fields*/) override {}  // never saved

  const double max_lr_;
  const double steps_;
  const bool linear_;
  double lr_ = 0;
};

// Rank 0's numbers on every rank: all go on with the same rate.
std::vector<double> shared(Strategy& strategy, const std::vector<double>& values) {
  if (!strategy.is_distributed()) return values;
  std::string bytes(values.size() * sizeof(double), '\0');
  std::copy_n(reinterpret_cast<const char*>(values.data()), bytes.size(), bytes.data());
  bytes = strategy.broadcast(bytes);
  std::vector<double> result(bytes.size() / sizeof(double));
  std::copy_n(bytes.data(), result.size() * sizeof(double), reinterpret_cast<char*>(result.data()));
  return result;
}

// Records the rate before and the smoothed loss after each optimizer step.
class RangeRecorder final : public Callback {
 public:
  RangeRecorder(const RangeScheduler& scheduler, std::optional<double> early_stop_threshold)
      : scheduler_(scheduler), threshold_(early_stop_threshold) {}

  std::string type_name() const override { return "_LRCallback"; }
  const LrFinder& found() const { return found_; }

  void on_train_batch_start(Trainer& trainer, TrainableModule&, const Batch&,
                            std::int64_t) override {
    if (steps_now(trainer)) found_.lr.push_back(scheduler_.lr());
  }

  void on_train_batch_end(Trainer& trainer, TrainableModule&, const StepOutput& output,
                          const Batch&, std::int64_t) override {
    if (!steps_now(trainer)) return;
    if (!output.loss.defined()) {
      found_.loss.push_back(std::numeric_limits<double>::quiet_NaN());
      return;
    }
    constexpr double kBeta = 0.98;
    const auto step = static_cast<double>(trainer.global_step());
    average_ = kBeta * average_ + (1 - kBeta) * output.loss.item().toDouble();
    // One step more than bias correction asks for, as in Lightning.
    const double smoothed = average_ / (1 - std::pow(kBeta, step + 1));
    const bool diverged = threshold_ && step > 1 && smoothed > *threshold_ * best_;
    if (trainer.strategy().broadcast(diverged ? "1" : "0") == "1") trainer.set_should_stop();
    if (smoothed < best_ || step == 1) best_ = smoothed;
    found_.loss.push_back(smoothed);
  }

 private:
  static bool steps_now(const Trainer& trainer) {
    return (trainer.progress().fit.batch_idx() + 1) % trainer.options().accumulate_grad_batches ==
           0;
  }

  const RangeScheduler& scheduler_;
  const std::optional<double> threshold_;
  LrFinder found_;
  double average_ = 0;
  double best_ = 0;
};

}  // namespace

LearningRateFinder::LearningRateFinder(LrFindOptions options) : options_(std::move(options)) {
  if (options_.mode != "linear" && options_.mode != "exponential") {
    throw std::invalid_argument("`mode` should be either of ('linear', 'exponential')");
  }
}

void LearningRateFinder::on_fit_start(Trainer& trainer, TrainableModule& /*module*/) {
  if (trainer.options().fast_dev_run > 0) {
    console::warn("Skipping learning rate finder since `fast_dev_run` is enabled.");
  } else {
    const RandomIsolation isolation(&trainer.accelerator());
    search(trainer);
  }
  throw TunerExit();
}

void LearningRateFinder::search(Trainer& trainer) {
  OptimizersConfig& optimizers = trainer.optimizers();
  if (optimizers.optimizers.size() != 1) {
    throw MisconfigurationException(
        fmt::format("`model.configure_optimizers()` returned {}, but learning rate finder only "
                    "works with single optimizer",
                    optimizers.optimizers.size()));
  }
  Trial trial(trainer, "lr_find");
  // The trial's end gives the user's schedulers their state back, so they must be there by then.
  std::vector<LRSchedulerConfig> kept = std::exchange(optimizers.lr_schedulers, {});
  const auto put_back = [&] { optimizers.lr_schedulers = std::move(kept); };
  const std::int64_t start = trainer.global_step();
  try {
    Optimizer& optimizer = *optimizers.optimizers.front();
    for (ParamGroup& group : optimizer.param_groups()) {
      group.lr = options_.min_lr;
      group.options.set("initial_lr", options_.min_lr);
    }
    LRSchedulerConfig config;
    auto scheduler = std::make_unique<RangeScheduler>(optimizer, options_);
    scheduler->start();
    const auto recorder =
        std::make_shared<RangeRecorder>(*scheduler, options_.early_stop_threshold);
    config.scheduler = std::move(scheduler);
    config.interval = "step";
    optimizers.lr_schedulers.push_back(std::move(config));
    trial.use_callback(recorder);
    trainer.options().max_steps = options_.num_training + start;
    trainer.options().limit_val_batches = options_.num_training;
    trial.run();
    if (trainer.global_step() != options_.num_training + start) {
      console::info(fmt::format("LR finder stopped early after {} steps due to diverging loss.",
                                trainer.global_step()));
    }
    found_ = LrFinder{shared(trainer.strategy(), recorder->found().lr),
                      shared(trainer.strategy(), recorder->found().loss)};
  } catch (...) {
    put_back();
    throw;
  }
  put_back();
  trial.restore();
  trial.reload_data(/*reload_validation=*/false);
}

}  // namespace lctl
