#include "worker/trainer/optim/lr_scheduler/reduce_on_plateau.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "worker/trainer/optim/lr_scheduler/state_fields.h"

namespace lctl {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class ReduceLrOnPlateau final : public LRScheduler {
 public:
  ReduceLrOnPlateau(Optimizer& optimizer, const PlateauOptions& options)
      : optimizer_(&optimizer),
        factor_(options.factor),
        one_min_lr_(options.min_lr.size() == 1),
        min_lrs_(options.min_lr),
        patience_(options.patience),
        cooldown_(options.cooldown),
        eps_(options.eps),
        mode_(options.mode),
        threshold_(options.threshold),
        threshold_mode_(options.threshold_mode) {
    if (!(factor_ < 1)) throw std::invalid_argument("Factor should be < 1.0.");
    check_modes();
    const std::size_t groups = optimizer.param_groups().size();
    if (one_min_lr_) min_lrs_.assign(groups, options.min_lr.front());
    if (min_lrs_.size() != groups) {
      throw std::invalid_argument(
          fmt::format("expected {} min_lrs, got {}", groups, min_lrs_.size()));
    }
    best_ = worst();
    remember_lrs();
  }

  std::string type_name() const override { return "ReduceLROnPlateau"; }
  Optimizer& optimizer() const override { return *optimizer_; }
  bool is_reduce_on_plateau() const override { return true; }

  void step(const double* metric) override {
    if (metric == nullptr) throw std::invalid_argument("ReduceLROnPlateau.step() needs a metric");
    ++last_epoch_;
    if (is_better(*metric)) {
      best_ = *metric;
      bad_epochs_ = 0;
    } else {
      ++bad_epochs_;
    }
    if (cooldown_counter_ > 0) {
      --cooldown_counter_;
      bad_epochs_ = 0;
    }
    if (bad_epochs_ > patience_) {
      reduce();
      cooldown_counter_ = cooldown_;
      bad_epochs_ = 0;
    }
    remember_lrs();
  }

  checkpoint::Dict state_dict() const override {
    checkpoint::Dict state;
    auto fields = StateFields::saving_to(state);
    const_cast<ReduceLrOnPlateau&>(*this).all_fields(fields);  // only read when saving
    return state;
  }

  void load_state_dict(const checkpoint::Dict& state) override {
    auto fields = StateFields::loading_from(state);
    all_fields(fields);
    check_modes();
  }

 private:
  double worst() const { return mode_ == "min" ? kInfinity : -kInfinity; }

  void check_modes() const {
    if (mode_ != "min" && mode_ != "max")
      throw std::invalid_argument("mode " + mode_ + " is unknown!");
    if (threshold_mode_ != "rel" && threshold_mode_ != "abs") {
      throw std::invalid_argument("threshold mode " + threshold_mode_ + " is unknown!");
    }
  }

  bool is_better(double value) const {
    const bool relative = threshold_mode_ == "rel";
    if (mode_ == "min") return value < (relative ? best_ * (1.0 - threshold_) : best_ - threshold_);
    return value > (relative ? best_ * (threshold_ + 1.0) : best_ + threshold_);
  }

  void reduce() {
    std::vector<ParamGroup>& groups = optimizer_->param_groups();
    if (groups.size() != min_lrs_.size()) {
      if (!one_min_lr_) {
        throw std::invalid_argument(
            fmt::format("the optimizer has {} parameter groups now and ReduceLROnPlateau has {} "
                        "values of min_lr; "
                        "give one number, or do not add groups",
                        groups.size(), min_lrs_.size()));
      }
      min_lrs_.resize(groups.size(), min_lrs_.front());
    }
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const double reduced = std::max(groups[i].lr * factor_, min_lrs_[i]);
      if (groups[i].lr - reduced > eps_) groups[i].lr = reduced;
    }
  }

  void remember_lrs() {
    last_lr_.clear();
    for (const ParamGroup& group : optimizer_->param_groups()) last_lr_.push_back(group.lr);
  }

  void all_fields(StateFields& fields) {
    fields.field("factor", factor_);
    fields.constant("default_min_lr",
                    one_min_lr_ ? checkpoint::Value(min_lrs_.front()) : checkpoint::Value());
    fields.field("min_lrs", min_lrs_);
    fields.field("patience", patience_);
    fields.field("cooldown", cooldown_);
    fields.field("eps", eps_);
    fields.field("last_epoch", last_epoch_);
    fields.field("_last_lr", last_lr_);
    fields.constant("mode_worse", worst());
    fields.field("mode", mode_);
    fields.field("threshold", threshold_);
    fields.field("threshold_mode", threshold_mode_);
    fields.field("best", best_);
    fields.field("cooldown_counter", cooldown_counter_);
    fields.field("num_bad_epochs", bad_epochs_);
  }

  Optimizer* optimizer_;
  double factor_;
  bool one_min_lr_;
  std::vector<double> min_lrs_;
  std::int64_t patience_;
  std::int64_t cooldown_;
  double eps_;
  std::int64_t last_epoch_ = 0;
  std::vector<double> last_lr_;
  std::string mode_;
  double threshold_;
  std::string threshold_mode_;
  double best_ = 0;
  std::int64_t cooldown_counter_ = 0;
  std::int64_t bad_epochs_ = 0;
};

}  // namespace

std::unique_ptr<LRScheduler> reduce_lr_on_plateau(Optimizer& optimizer,
                                                  const PlateauOptions& options) {
  return std::make_unique<ReduceLrOnPlateau>(optimizer, options);
}

}  // namespace lctl
