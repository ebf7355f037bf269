#include "worker/trainer/optim/lr_scheduler/multiplicative.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

namespace lctl {
namespace {

// rate * factor for every group.
std::vector<double> times(std::vector<double> rates, double factor) {
  for (double& rate : rates) rate *= factor;
  return rates;
}

class StepLr final : public TorchScheduler {
 public:
  StepLr(Optimizer& optimizer, std::int64_t step_size, double gamma)
      : TorchScheduler(optimizer), step_size_(step_size), gamma_(gamma) {
    if (step_size == 0) throw std::invalid_argument("StepLR: step_size must not be 0");
  }
  std::string type_name() const override { return "StepLR"; }

 private:
  std::vector<double> next_lrs() override {
    const bool due = last_epoch() != 0 && last_epoch() % step_size_ == 0;
    return due ? times(current_lrs(), gamma_) : current_lrs();
  }
  std::vector<double> closed_form_lrs() override {
    return times(base_lrs(), std::pow(gamma_, static_cast<double>(last_epoch() / step_size_)));
  }
  void own_fields(StateFields& fields) override {
    fields.field("step_size", step_size_);
    fields.field("gamma", gamma_);
  }

  std::int64_t step_size_;
  double gamma_;
};

class MultiStepLr final : public TorchScheduler {
 public:
  MultiStepLr(Optimizer& optimizer, const std::vector<std::int64_t>& milestones, double gamma)
      : TorchScheduler(optimizer), gamma_(gamma) {
    for (const std::int64_t milestone : milestones) ++milestones_[milestone];
  }
  std::string type_name() const override { return "MultiStepLR"; }

 private:
  std::vector<double> next_lrs() override {
    const auto found = milestones_.find(last_epoch());
    if (found == milestones_.end()) return current_lrs();
    return times(current_lrs(), std::pow(gamma_, static_cast<double>(found->second)));
  }
  std::vector<double> closed_form_lrs() override {
    std::int64_t passed = 0;
    for (const auto& [milestone, count] : milestones_) {
      if (milestone <= last_epoch()) passed += count;
    }
    return times(base_lrs(), std::pow(gamma_, static_cast<double>(passed)));
  }
  void own_fields(StateFields& fields) override {
    fields.field("milestones", milestones_);
    fields.field("gamma", gamma_);
  }

  std::map<std::int64_t, std::int64_t> milestones_;
  double gamma_;
};

class ConstantLr final : public TorchScheduler {
 public:
  ConstantLr(Optimizer& optimizer, double factor, std::int64_t total_iters)
      : TorchScheduler(optimizer), factor_(factor), total_iters_(total_iters) {
    if (!(factor >= 0 && factor <= 1)) {
      throw std::invalid_argument("Constant multiplicative factor expected to be between 0 and 1.");
    }
  }
  std::string type_name() const override { return "ConstantLR"; }

 private:
  std::vector<double> next_lrs() override {
    if (last_epoch() == 0) return times(current_lrs(), factor_);
    if (last_epoch() != total_iters_) return current_lrs();
    return times(current_lrs(), 1.0 / factor_);
  }
  std::vector<double> closed_form_lrs() override {
    return times(base_lrs(), factor_ + (last_epoch() >= total_iters_ ? 1 - factor_ : 0.0));
  }
  void own_fields(StateFields& fields) override {
    fields.field("factor", factor_);
    fields.field("total_iters", total_iters_);
  }

  double factor_;
  std::int64_t total_iters_;
};

class LinearLr final : public TorchScheduler {
 public:
  LinearLr(Optimizer& optimizer, double start, double end, std::int64_t total_iters)
      : TorchScheduler(optimizer), start_(start), end_(end), total_iters_(total_iters) {
    if (!(start > 0 && start <= 1)) {
      throw std::invalid_argument(
          "Starting multiplicative factor expected to be greater than 0 and less or equal to 1.");
    }
    if (!(end >= 0 && end <= 1)) {
      throw std::invalid_argument("Ending multiplicative factor expected to be between 0 and 1.");
    }
  }
  std::string type_name() const override { return "LinearLR"; }

 private:
  std::vector<double> next_lrs() override {
    if (last_epoch() == 0) return times(current_lrs(), start_);
    if (is_initial() || last_epoch() > total_iters_) return current_lrs();
    const double rise = end_ - start_;
    const double total = static_cast<double>(total_iters_);
    const double before = static_cast<double>(last_epoch() - 1);
    return times(current_lrs(), 1.0 + rise / (total * start_ + before * rise));
  }
  std::vector<double> closed_form_lrs() override {
    const auto done = static_cast<double>(std::min(total_iters_, last_epoch()));
    return times(base_lrs(), start_ + (end_ - start_) * done / static_cast<double>(total_iters_));
  }
  void own_fields(StateFields& fields) override {
    fields.field("start_factor", start_);
    fields.field("end_factor", end_);
    fields.field("total_iters", total_iters_);
  }

  double start_;
  double end_;
  std::int64_t total_iters_;
};

class ExponentialLr final : public TorchScheduler {
 public:
  ExponentialLr(Optimizer& optimizer, double gamma) : TorchScheduler(optimizer), gamma_(gamma) {}
  std::string type_name() const override { return "ExponentialLR"; }

 private:
  std::vector<double> next_lrs() override {
    return is_initial() ? current_lrs() : times(current_lrs(), gamma_);
  }
  std::vector<double> closed_form_lrs() override {
    return times(base_lrs(), std::pow(gamma_, static_cast<double>(last_epoch())));
  }
  void own_fields(StateFields& fields) override { fields.field("gamma", gamma_); }

  double gamma_;
};

class PolynomialLr final : public TorchScheduler {
 public:
  PolynomialLr(Optimizer& optimizer, std::int64_t total_iters, double power)
      : TorchScheduler(optimizer), total_iters_(total_iters), power_(power) {}
  std::string type_name() const override { return "PolynomialLR"; }

 private:
  std::vector<double> next_lrs() override {
    if (is_initial() || last_epoch() > total_iters_) return current_lrs();
    const double total = static_cast<double>(total_iters_);
    const double now = static_cast<double>(last_epoch());
    return times(current_lrs(), std::pow((1.0 - now / total) / (1.0 - (now - 1) / total), power_));
  }
  std::vector<double> closed_form_lrs() override {
    const auto done = static_cast<double>(std::min(total_iters_, last_epoch()));
    return times(base_lrs(), std::pow(1.0 - done / static_cast<double>(total_iters_), power_));
  }
  void own_fields(StateFields& fields) override {
    fields.field("total_iters", total_iters_);
    fields.field("power", power_);
  }

  std::int64_t total_iters_;
  double power_;
};

}  // namespace

std::unique_ptr<TorchScheduler> step_lr(Optimizer& optimizer, std::int64_t step_size,
                                        double gamma) {
  return started<StepLr>(optimizer, step_size, gamma);
}

std::unique_ptr<TorchScheduler> multi_step_lr(Optimizer& optimizer,
                                              const std::vector<std::int64_t>& milestones,
                                              double gamma) {
  return started<MultiStepLr>(optimizer, milestones, gamma);
}

std::unique_ptr<TorchScheduler> constant_lr(Optimizer& optimizer, double factor,
                                            std::int64_t total_iters) {
  return started<ConstantLr>(optimizer, factor, total_iters);
}

std::unique_ptr<TorchScheduler> linear_lr(Optimizer& optimizer, double start_factor,
                                          double end_factor, std::int64_t total_iters) {
  return started<LinearLr>(optimizer, start_factor, end_factor, total_iters);
}

std::unique_ptr<TorchScheduler> exponential_lr(Optimizer& optimizer, double gamma) {
  return started<ExponentialLr>(optimizer, gamma);
}

std::unique_ptr<TorchScheduler> polynomial_lr(Optimizer& optimizer, std::int64_t total_iters,
                                              double power) {
  return started<PolynomialLr>(optimizer, total_iters, power);
}

}  // namespace lctl
