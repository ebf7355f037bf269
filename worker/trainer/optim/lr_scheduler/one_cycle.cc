#include "worker/trainer/optim/lr_scheduler/one_cycle.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>
#include <stdexcept>

#include "worker/trainer/optim/lr_scheduler/cycle_momentum.h"

namespace lctl {
namespace {

using checkpoint::Dict;
using checkpoint::List;
using checkpoint::Value;

std::int64_t total_steps(const OneCycleOptions& options) {
  const auto positive = [](const char* name, std::int64_t value) {
    if (value <= 0) {
      throw std::invalid_argument(
          fmt::format("Expected positive integer {}, but got {}", name, value));
    }
    return value;
  };
  if (options.total_steps.has_value()) return positive("total_steps", *options.total_steps);
  if (options.epochs.has_value() && options.steps_per_epoch.has_value()) {
    return positive("epochs", *options.epochs) *
           positive("steps_per_epoch", *options.steps_per_epoch);
  }
  throw std::invalid_argument("You must define either total_steps OR (epochs AND steps_per_epoch)");
}

class OneCycleLr final : public TorchScheduler {
 public:
  OneCycleLr(Optimizer& optimizer, const OneCycleOptions& options)
      : TorchScheduler(prepared(optimizer, options)),
        total_steps_(total_steps(options)),
        phases_(phases(options, total_steps_)),
        strategy_(options.anneal_strategy),
        cycle_momentum_(options.cycle_momentum),
        use_beta1_(has_betas(optimizer)) {}
  std::string type_name() const override { return "OneCycleLR"; }

 private:
  // Boundaries and the names of group entries that the values move between.
  struct Phase {
    double end_step;
    const char* start_lr;
    const char* end_lr;
    const char* start_momentum;
    const char* end_momentum;
  };

  // Writes the cycle's corner values into the groups, before the base class takes `initial_lr`.
  static Optimizer& prepared(Optimizer& optimizer, const OneCycleOptions& options) {
    total_steps(options);
    if (!(options.pct_start >= 0 && options.pct_start <= 1)) {
      throw std::invalid_argument(
          fmt::format("Expected float between 0 and 1 pct_start, but got {}", options.pct_start));
    }
    if (options.anneal_strategy != "cos" && options.anneal_strategy != "linear") {
      throw std::invalid_argument(
          fmt::format("anneal_strategy must be one of 'cos' or 'linear', instead got {}",
                      options.anneal_strategy));
    }
    std::vector<ParamGroup>& groups = optimizer.param_groups();
    const std::vector<double> max_lrs = per_group("max_lr", options.max_lr, groups.size());
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const double initial = max_lrs[i] / options.div_factor;
      groups[i].options.set("initial_lr", initial);
      groups[i].options.set("max_lr", max_lrs[i]);
      groups[i].options.set("min_lr", initial / options.final_div_factor);
    }
    if (options.cycle_momentum)
      prepare_cycle_momentum(optimizer, options.base_momentum, options.max_momentum);
    return optimizer;
  }

  static std::vector<Phase> phases(const OneCycleOptions& options, std::int64_t total_steps) {
    const auto total = static_cast<double>(total_steps);
    const double rise_end = options.pct_start * total - 1;
    if (options.three_phase) {
      return {{rise_end, "initial_lr", "max_lr", "max_momentum", "base_momentum"},
              {2 * options.pct_start * total - 2, "max_lr", "initial_lr", "base_momentum",
               "max_momentum"},
              {total - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"}};
    }
    return {{rise_end, "initial_lr", "max_lr", "max_momentum", "base_momentum"},
            {total - 1, "max_lr", "min_lr", "base_momentum", "max_momentum"}};
  }

  double annealed(double start, double end, double part) const {
    if (strategy_ == "linear") return (end - start) * part + start;
    return end + (start - end) / 2.0 * (std::cos(std::numbers::pi * part) + 1);
  }

  std::vector<double> next_lrs() override {
    if (last_epoch() > total_steps_) {
      throw std::invalid_argument(
          fmt::format("Tried to step {} times. The specified number of total steps is {}",
                      last_epoch(), total_steps_));
    }
    const auto now = static_cast<double>(last_epoch());
    std::vector<double> lrs;
    for (ParamGroup& group : optimizer().param_groups()) {
      check_prepared(group, "initial_lr");
      double start_step = 0.0;
      std::size_t i = 0;
      while (now > phases_[i].end_step && i + 1 < phases_.size())
        start_step = phases_[i++].end_step;
      const Phase& phase = phases_[i];
      const double part = (now - start_step) / (phase.end_step - start_step);
      const auto value = [&group](const char* name) { return group.options.at(name).as_double(); };
      lrs.push_back(annealed(value(phase.start_lr), value(phase.end_lr), part));
      if (cycle_momentum_) {
        set_momentum(group, annealed(value(phase.start_momentum), value(phase.end_momentum), part));
      }
    }
    return lrs;
  }

  void own_fields(StateFields& fields) override {
    fields.field("total_steps", total_steps_);
    List phases;
    for (const Phase& phase : phases_) {
      Dict entry;
      // The last one is an integer in torch.
      const bool last = &phase == &phases_.back();
      entry.set("end_step", last ? Value(total_steps_ - 1) : Value(phase.end_step));
      entry.set("start_lr", phase.start_lr);
      entry.set("end_lr", phase.end_lr);
      entry.set("start_momentum", phase.start_momentum);
      entry.set("end_momentum", phase.end_momentum);
      phases.emplace_back(std::move(entry));
    }
    // Loading keeps the phases of the present options: they are derived from them.
    fields.constant("_schedule_phases", std::move(phases));
    fields.field("_anneal_func_type", strategy_);
    fields.field("cycle_momentum", cycle_momentum_);
    if (cycle_momentum_) fields.field("use_beta1", use_beta1_);
  }

  std::int64_t total_steps_;
  std::vector<Phase> phases_;
  std::string strategy_;
  bool cycle_momentum_;
  bool use_beta1_;
};

}  // namespace

std::unique_ptr<TorchScheduler> one_cycle_lr(Optimizer& optimizer, const OneCycleOptions& options) {
  return started<OneCycleLr>(optimizer, options);
}

}  // namespace lctl
