#include "worker/trainer/optim/lr_scheduler/composed.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace lctl {
namespace {

using checkpoint::Dict;
using checkpoint::List;
using checkpoint::Value;
using Parts = std::vector<std::unique_ptr<TorchScheduler>>;

// The parts as torch's schedulers; refuses what a composition cannot drive.
Parts checked(const char* name, std::vector<std::unique_ptr<LRScheduler>> schedulers) {
  if (schedulers.empty()) {
    throw std::invalid_argument(
        fmt::format("{} expects at least one scheduler, but got no scheduler.", name));
  }
  Optimizer* const optimizer = &schedulers.front()->optimizer();
  Parts parts;
  for (std::size_t i = 0; i < schedulers.size(); ++i) {
    auto* part = dynamic_cast<TorchScheduler*>(schedulers[i].get());
    if (part == nullptr) {
      throw std::invalid_argument(fmt::format(
          "{} does not support `{}` scheduler as it requires additional kwargs to be "
          "specified when calling `step`, but got one at index {} in the given schedulers "
          "sequence.",
          name, schedulers[i]->type_name(), i));
    }
    if (&part->optimizer() != optimizer) {
      throw std::invalid_argument(
          fmt::format("{} expects all schedulers to belong to the same optimizer, but the one at "
                      "index {} has another",
                      name, i));
    }
    static_cast<void>(schedulers[i].release());
    parts.emplace_back(part);
  }
  return parts;
}

// State and undoing are the same for both compositions.
class Composition : public TorchScheduler {
 public:
  void undo_initial_step() override {
    for (const auto& part : parts_) part->undo_initial_step();
  }
  void update_lr(std::optional<std::int64_t> /*epoch*/) override {
    throw std::invalid_argument(
        fmt::format("{} cannot take over at a milestone of a SequentialLR", type_name()));
  }

  Dict state_dict() const override {
    Dict state;
    auto fields = StateFields::saving_to(state);
    const_cast<Composition&>(*this).own_fields(fields);  // only read when saving
    List parts;
    for (const auto& part : parts_) parts.emplace_back(part->state_dict());
    state.set("_schedulers", std::move(parts));
    return state;
  }

  void load_state_dict(const Dict& state) override {
    const List& parts = state.at("_schedulers").as_list();
    if (parts.size() != parts_.size()) {
      throw std::invalid_argument(fmt::format("the saved {} has {} schedulers, this one has {}",
                                              type_name(), parts.size(), parts_.size()));
    }
    auto fields = StateFields::loading_from(state);
    own_fields(fields);
    for (std::size_t i = 0; i < parts.size(); ++i) parts_[i]->load_state_dict(parts[i].as_dict());
  }

 protected:
  Composition(Optimizer& optimizer, Parts&& parts)
      : TorchScheduler(optimizer, Bare{}), parts_(std::move(parts)) {}
  std::vector<double> next_lrs() override { return current_lrs(); }

  Parts parts_;
};

class SequentialLr final : public Composition {
 public:
  SequentialLr(Optimizer& optimizer, Parts&& parts, std::vector<std::int64_t> milestones)
      : Composition(optimizer, std::move(parts)), milestones_(std::move(milestones)) {
    if (milestones_.size() + 1 != parts_.size()) {
      throw std::invalid_argument(fmt::format(
          "Sequential Schedulers expects number of schedulers provided to be one more than "
          "the number of milestone points, but got number of schedulers {} and the number of "
          "milestones to be equal to {}",
          parts_.size(), milestones_.size()));
    }
    if (&optimizer != &parts_.front()->optimizer()) {
      throw std::invalid_argument("SequentialLR and its schedulers belong to different optimizers");
    }
    // Each part took its own first step when it was built: back to the start, then only the first.
    last_epoch_ = 0;
    for (ParamGroup& group : optimizer.param_groups())
      group.lr = group.options.at("initial_lr").as_double();
    SequentialLr::undo_initial_step();
    parts_.front()->start();
    last_lr_ = parts_.front()->last_lr();
  }
  std::string type_name() const override { return "SequentialLR"; }

  void step(const double* /*metric*/) override {
    ++last_epoch_;
    const auto index = static_cast<std::size_t>(
        std::upper_bound(milestones_.begin(), milestones_.end(), last_epoch_) -
        milestones_.begin());
    TorchScheduler& part = *parts_[index];
    if (index > 0 && milestones_[index - 1] == last_epoch_) {
      part.update_lr(0);
    } else {
      part.step(nullptr);
    }
    last_lr_ = part.last_lr();
  }

 private:
  void own_fields(StateFields& fields) override {
    fields.field("_milestones", milestones_);
    fields.field("last_epoch", last_epoch_);
    fields.field("_last_lr", last_lr_);
  }

  std::vector<std::int64_t> milestones_;
};

class ChainedScheduler final : public Composition {
 public:
  explicit ChainedScheduler(Parts&& parts)
      : Composition(parts.front()->optimizer(), std::move(parts)) {
    last_lr_ = current_lrs();
  }
  std::string type_name() const override { return "ChainedScheduler"; }

  void step(const double* /*metric*/) override {
    for (const auto& part : parts_) part->step(nullptr);
    last_lr_ = current_lrs();
  }

 private:
  void own_fields(StateFields& fields) override { fields.field("_last_lr", last_lr_); }
};

}  // namespace

std::unique_ptr<TorchScheduler> sequential_lr(Optimizer& optimizer,
                                              std::vector<std::unique_ptr<LRScheduler>> schedulers,
                                              std::vector<std::int64_t> milestones) {
  return std::make_unique<SequentialLr>(optimizer, checked("SequentialLR", std::move(schedulers)),
                                        std::move(milestones));
}

std::unique_ptr<TorchScheduler> chained_scheduler(
    std::vector<std::unique_ptr<LRScheduler>> schedulers) {
  return std::make_unique<ChainedScheduler>(checked("ChainedScheduler", std::move(schedulers)));
}

}  // namespace lctl
