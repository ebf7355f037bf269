#include "worker/trainer/optim/lr_scheduler/swa.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace lctl {
namespace {

class SwaLr final : public TorchScheduler {
 public:
  SwaLr(Optimizer& optimizer, const SwaLrOptions& options)
      : TorchScheduler(optimizer),
        anneal_strategy_(options.anneal_strategy),
        anneal_epochs_(options.anneal_epochs) {
    last_epoch_ = options.last_epoch;
  }
  std::string type_name() const override { return "SWALR"; }

 private:
  double anneal(std::int64_t step) const {
    const double whole = static_cast<double>(std::max<std::int64_t>(1, anneal_epochs_));
    const double t = std::clamp(static_cast<double>(step) / whole, 0.0, 1.0);
    return anneal_strategy_ == "cos" ? (1 - std::cos(std::numbers::pi * t)) / 2 : t;
  }

  std::vector<double> next_lrs() override {
    std::int64_t step = step_count() - 1;
    if (anneal_epochs_ == 0) step = std::max<std::int64_t>(1, step);
    const double before = anneal(step - 1);
    const double now = anneal(step);
    std::vector<double> lrs;
    for (const ParamGroup& group : optimizer().param_groups()) {
      check_prepared(group, "swa_lr");
      const double target = group.options.at("swa_lr").as_double();
      const double start = before == 1 ? target : (group.lr - before * target) / (1 - before);
      lrs.push_back(target * now + start * (1 - now));
    }
    return lrs;
  }
  void own_fields(StateFields& fields) override {
    fields.field("_anneal_strategy", anneal_strategy_);
    fields.field("anneal_epochs", anneal_epochs_);
  }

  std::string anneal_strategy_;
  std::int64_t anneal_epochs_;
};

}  // namespace

std::unique_ptr<TorchScheduler> swa_lr(Optimizer& optimizer, const SwaLrOptions& options) {
  std::vector<ParamGroup>& groups = optimizer.param_groups();
  const std::vector<double> lrs = per_group("swa_lr", options.swa_lrs, groups.size());
  if (options.anneal_strategy != "cos" && options.anneal_strategy != "linear") {
    throw std::invalid_argument(
        fmt::format("anneal_strategy must by one of 'cos' or 'linear', instead got {}",
                    options.anneal_strategy));
  }
  if (options.anneal_epochs < 0) {
    throw std::invalid_argument(fmt::format("anneal_epochs must be equal or greater than 0, got {}",
                                            options.anneal_epochs));
  }
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i].options.set("swa_lr", lrs[i]);
  return started<SwaLr>(optimizer, options);
}

}  // namespace lctl
