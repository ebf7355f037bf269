#include "worker/trainer/optim/lr_scheduler/torch_scheduler.h"

#include <fmt/format.h>

#include <stdexcept>

namespace lctl {
namespace {

constexpr const char* kUseAnother =
    "It cannot follow groups that are added during training (BackboneFinetuning): use a scheduler "
    "that multiplies the present rates, such as StepLR, ExponentialLR, LinearLR or "
    "CosineAnnealingLR";

}  // namespace

TorchScheduler::TorchScheduler(Optimizer& optimizer) : optimizer_(&optimizer) {
  for (ParamGroup& group : optimizer.param_groups()) {
    if (group.options.find("initial_lr") == nullptr) group.options.set("initial_lr", group.lr);
    base_lrs_.push_back(group.options.at("initial_lr").as_double());
  }
}

void TorchScheduler::start() {
  step_count_ = 0;
  is_initial_ = true;
  step(nullptr);
  is_initial_ = false;
}

void TorchScheduler::step(const double* /*metric*/) {
  ++step_count_;
  update_lr(std::nullopt);
}

void TorchScheduler::update_lr(std::optional<std::int64_t> epoch) {
  std::vector<double> lrs;
  if (epoch.has_value()) {
    last_epoch_ = *epoch;
    lrs = closed_form_lrs();
    if (lrs.empty()) lrs = next_lrs();
  } else {
    ++last_epoch_;
    lrs = next_lrs();
  }
  set_lrs(lrs);
  last_lr_ = current_lrs();
}

void TorchScheduler::set_lrs(const std::vector<double>& lrs) {
  std::vector<ParamGroup>& groups = optimizer_->param_groups();
  check_groups(lrs.size());
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i].lr = lrs[i];
}

void TorchScheduler::check_groups(std::size_t known) const {
  const std::size_t groups = optimizer_->param_groups().size();
  if (known == groups) return;
  throw std::invalid_argument(fmt::format(
      "zip() argument 2 is {} than argument 1: {} has rates for {} parameter groups, the optimizer "
      "has {}. {}",
      known < groups ? "shorter" : "longer", type_name(), known, groups, kUseAnother));
}

void TorchScheduler::check_prepared(const ParamGroup& group, std::string_view option) const {
  if (group.options.find(option) != nullptr) return;
  throw std::invalid_argument(fmt::format("'{}': a parameter group was added after {} was made. {}",
                                          option, type_name(), kUseAnother));
}

std::vector<double> TorchScheduler::current_lrs() const {
  std::vector<double> lrs;
  for (const ParamGroup& group : optimizer_->param_groups()) lrs.push_back(group.lr);
  return lrs;
}

checkpoint::Dict TorchScheduler::state_dict() const {
  checkpoint::Dict state;
  auto fields = StateFields::saving_to(state);
  // Fields are read only when saving.
  auto& self = const_cast<TorchScheduler&>(*this);
  self.own_fields(fields);
  fields.field("base_lrs", self.base_lrs_);
  fields.field("last_epoch", self.last_epoch_);
  fields.field("_step_count", self.step_count_);
  fields.constant("_is_initial", false);
  fields.constant("_get_lr_called_within_step", false);
  fields.field("_last_lr", self.last_lr_);
  self.last_fields(fields);
  return state;
}

void TorchScheduler::load_state_dict(const checkpoint::Dict& state) {
  auto fields = StateFields::loading_from(state);
  own_fields(fields);
  fields.field("base_lrs", base_lrs_);
  fields.field("last_epoch", last_epoch_);
  fields.field("_step_count", step_count_);
  fields.field("_last_lr", last_lr_);
}

std::vector<double> per_group(const char* name, const std::vector<double>& values,
                              std::size_t groups) {
  if (values.size() == groups) return values;
  if (values.size() == 1) return std::vector<double>(groups, values[0]);
  throw std::invalid_argument(
      fmt::format("{0} must have the same length as optimizer.param_groups. {0} has {1} values, "
                  "param_groups has {2}.",
                  name, values.size(), groups));
}

}  // namespace lctl
