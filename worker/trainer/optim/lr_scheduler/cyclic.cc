#include "worker/trainer/optim/lr_scheduler/cyclic.h"

#include <cmath>
#include <stdexcept>

#include "worker/trainer/optim/lr_scheduler/cycle_momentum.h"

namespace lctl {
namespace {

class CyclicLr final : public TorchScheduler {
 public:
  CyclicLr(Optimizer& optimizer, const CyclicOptions& options)
      : TorchScheduler(prepared(optimizer, options)),
        lowest_(per_group("base_lr", options.base_lr, optimizer.param_groups().size())),
        highest_(per_group("max_lr", options.max_lr, optimizer.param_groups().size())),
        mode_(options.mode),
        gamma_(options.gamma),
        scale_mode_(options.mode == "exp_range" ? "iterations" : "cycle"),
        cycle_momentum_(options.cycle_momentum),
        use_beta1_(has_betas(optimizer)) {
    const auto up = static_cast<double>(options.step_size_up);
    total_size_ = up + static_cast<double>(options.step_size_down.value_or(options.step_size_up));
    step_ratio_ = up / total_size_;
    if (cycle_momentum_) {
      for (const ParamGroup& group : optimizer.param_groups()) {
        base_momentums_.push_back(group.options.at("base_momentum").as_double());
        max_momentums_.push_back(group.options.at("max_momentum").as_double());
      }
    }
  }
  std::string type_name() const override { return "CyclicLR"; }

  // torch replaces what its base class has taken from the groups' `initial_lr`.
  void start() override {
    TorchScheduler::start();
    set_base_lrs(lowest_);
  }

 private:
  static Optimizer& prepared(Optimizer& optimizer, const CyclicOptions& options) {
    if (options.mode != "triangular" && options.mode != "triangular2" &&
        options.mode != "exp_range") {
      throw std::invalid_argument("mode is invalid and scale_fn is None");
    }
    std::vector<ParamGroup>& groups = optimizer.param_groups();
    const std::vector<double> lrs = per_group("base_lr", options.base_lr, groups.size());
    for (std::size_t i = 0; i < groups.size(); ++i) groups[i].lr = lrs[i];
    if (options.cycle_momentum)
      prepare_cycle_momentum(optimizer, options.base_momentum, options.max_momentum);
    return optimizer;
  }

  // Of the height of this cycle.
  double scale(double cycle) const {
    if (mode_ == "triangular2") return 1 / std::pow(2.0, cycle - 1);
    if (mode_ == "exp_range") return std::pow(gamma_, static_cast<double>(last_epoch()));
    return 1.0;
  }

  std::vector<double> next_lrs() override {
    const double turns = static_cast<double>(last_epoch()) / total_size_;
    const double cycle = std::floor(1 + turns);
    const double x = 1.0 + turns - cycle;
    const double factor = x <= step_ratio_ ? x / step_ratio_ : (x - 1) / (step_ratio_ - 1);
    std::vector<ParamGroup>& groups = optimizer().param_groups();
    check_groups(base_lrs().size());
    std::vector<double> lrs;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const double height = (highest_[i] - base_lrs()[i]) * factor;
      lrs.push_back(base_lrs()[i] + height * scale(cycle));
      if (!cycle_momentum_) continue;
      const double fall = (max_momentums_[i] - base_momentums_[i]) * factor;
      set_momentum(groups[i], max_momentums_[i] - fall * scale(cycle));
    }
    return lrs;
  }

  void own_fields(StateFields& fields) override {
    fields.field("max_lrs", highest_);
    fields.field("total_size", total_size_);
    fields.field("step_ratio", step_ratio_);
    fields.field("mode", mode_);
    fields.field("gamma", gamma_);
    fields.field("scale_mode", scale_mode_);
    fields.field("cycle_momentum", cycle_momentum_);
    if (!cycle_momentum_) return;
    fields.field("use_beta1", use_beta1_);
    fields.field("base_momentums", base_momentums_);
    fields.field("max_momentums", max_momentums_);
  }
  void last_fields(StateFields& fields) override {
    fields.constant("_scale_fn_custom", checkpoint::Value());
  }

  std::vector<double> lowest_;
  std::vector<double> highest_;
  std::string mode_;
  double gamma_;
  std::string scale_mode_;
  bool cycle_momentum_;
  bool use_beta1_;
  double total_size_ = 0;  // steps of a cycle
  double step_ratio_ = 0;  // share of the way up
  std::vector<double> base_momentums_;
  std::vector<double> max_momentums_;
};

}  // namespace

std::unique_ptr<TorchScheduler> cyclic_lr(Optimizer& optimizer, const CyclicOptions& options) {
  return started<CyclicLr>(optimizer, options);
}

}  // namespace lctl
