#include "worker/trainer/optim/lr_scheduler/cosine.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>
#include <stdexcept>

namespace lctl {
namespace {

constexpr double kPi = std::numbers::pi;

class CosineAnnealingLr final : public TorchScheduler {
 public:
  CosineAnnealingLr(Optimizer& optimizer, std::int64_t t_max, double eta_min)
      : TorchScheduler(optimizer), t_max_(t_max), eta_min_(eta_min) {
    if (t_max == 0) throw std::invalid_argument("CosineAnnealingLR: T_max must not be 0");
  }
  std::string type_name() const override { return "CosineAnnealingLR"; }

 private:
  std::vector<double> next_lrs() override {
    std::vector<double> lrs = current_lrs();
    if (is_initial()) return lrs;
    const double epoch = static_cast<double>(last_epoch());
    const double t_max = static_cast<double>(t_max_);
    const bool late_start = step_count() == 1 && last_epoch() > 0;
    const bool turns = (last_epoch() - 1 - t_max_) % (2 * t_max_) == 0;
    if (late_start || turns) check_groups(base_lrs().size());
    for (std::size_t i = 0; i < lrs.size(); ++i) {
      if (late_start) {
        lrs[i] = eta_min_ + (base_lrs()[i] - eta_min_) * (1 + std::cos(epoch * kPi / t_max)) / 2;
      } else if (turns) {
        lrs[i] = lrs[i] + (base_lrs()[i] - eta_min_) * (1 - std::cos(kPi / t_max)) / 2;
      } else {
        lrs[i] = (1 + std::cos(kPi * epoch / t_max)) / (1 + std::cos(kPi * (epoch - 1) / t_max)) *
                     (lrs[i] - eta_min_) +
                 eta_min_;
      }
    }
    return lrs;
  }
  std::vector<double> closed_form_lrs() override {
    std::vector<double> lrs = base_lrs();
    const double turn = kPi * static_cast<double>(last_epoch()) / static_cast<double>(t_max_);
    for (double& lr : lrs) lr = eta_min_ + (lr - eta_min_) * (1 + std::cos(turn)) / 2;
    return lrs;
  }
  void own_fields(StateFields& fields) override {
    fields.field("T_max", t_max_);
    fields.field("eta_min", eta_min_);
  }

  std::int64_t t_max_;
  double eta_min_;
};

class CosineAnnealingWarmRestarts final : public TorchScheduler {
 public:
  CosineAnnealingWarmRestarts(Optimizer& optimizer, std::int64_t t_0, std::int64_t t_mult,
                              double eta_min)
      : TorchScheduler(optimizer), t_0_(t_0), t_i_(t_0), t_mult_(t_mult), eta_min_(eta_min) {
    if (t_0 <= 0)
      throw std::invalid_argument(fmt::format("Expected positive integer T_0, but got {}", t_0));
    if (t_mult < 1)
      throw std::invalid_argument(fmt::format("Expected integer T_mult >= 1, but got {}", t_mult));
  }
  std::string type_name() const override { return "CosineAnnealingWarmRestarts"; }

  // torch's own step: it does not count, and moves inside the period.
  void step(const double* /*metric*/) override {
    if (last_epoch() < 0) {
      t_i_ = t_0_;
      t_cur_ = 0;
      last_epoch_ = 0;
    } else {
      ++last_epoch_;
      ++t_cur_;
      if (t_cur_ >= t_i_) {
        t_cur_ = t_cur_ % t_i_;
        t_i_ *= t_mult_;
      }
    }
    set_lrs(next_lrs());
    last_lr_ = current_lrs();
  }

 private:
  std::vector<double> next_lrs() override {
    std::vector<double> lrs = base_lrs();
    const double turn = kPi * static_cast<double>(t_cur_) / static_cast<double>(t_i_);
    for (double& lr : lrs) lr = eta_min_ + (lr - eta_min_) * (1 + std::cos(turn)) / 2;
    return lrs;
  }
  void own_fields(StateFields& fields) override {
    fields.field("T_0", t_0_);
    fields.field("T_i", t_i_);
    fields.field("T_mult", t_mult_);
    fields.field("eta_min", eta_min_);
    fields.field("T_cur", t_cur_);
  }

  std::int64_t t_0_;
  std::int64_t t_i_;
  std::int64_t t_mult_;
  double eta_min_;
  std::int64_t t_cur_ = -1;
};

}  // namespace

std::unique_ptr<TorchScheduler> cosine_annealing_lr(Optimizer& optimizer, std::int64_t t_max,
                                                    double eta_min) {
  return started<CosineAnnealingLr>(optimizer, t_max, eta_min);
}

std::unique_ptr<TorchScheduler> cosine_annealing_warm_restarts(Optimizer& optimizer,
                                                               std::int64_t t_0,
                                                               std::int64_t t_mult,
                                                               double eta_min) {
  return started<CosineAnnealingWarmRestarts>(optimizer, t_0, t_mult, eta_min);
}

}  // namespace lctl
