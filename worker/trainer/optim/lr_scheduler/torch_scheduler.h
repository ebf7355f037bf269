// What torch's schedulers have in common: the count of steps, base rates, and their state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/trainer/optim/lr_scheduler.h"
#include "worker/trainer/optim/lr_scheduler/state_fields.h"
#include "worker/trainer/optim/optimizer.h"

namespace lctl {

// A subclass gives the next learning rates and its own attributes. Whoever builds one calls
// start() once, which is the end of torch's constructor.
// Thread rule: one strand only (the training thread).
class TorchScheduler : public LRScheduler {
 public:
  Optimizer& optimizer() const override { return *optimizer_; }
  void step(const double* metric) override;
  checkpoint::Dict state_dict() const override;
  void load_state_dict(const checkpoint::Dict& state) override;

  // Counts from 0 and takes the initial step.
  virtual void start();

  // The parts that SequentialLR drives: one step without counting it (to a given epoch, by the
  // closed form where there is one), and taking the constructor's step back.
  virtual void update_lr(std::optional<std::int64_t> epoch);
  virtual void undo_initial_step() { --last_epoch_; }

  const std::vector<double>& last_lr() const { return last_lr_; }

 protected:
  // Remembers each group's rate as its `initial_lr`, unless it has one.
  explicit TorchScheduler(Optimizer& optimizer);
  // For those that torch builds without its base constructor.
  struct Bare {};
  TorchScheduler(Optimizer& optimizer, Bare) : optimizer_(&optimizer) {}

  // One per group, for last_epoch().
  virtual std::vector<double> next_lrs() = 0;
  // The same without looking at the current rates; empty = torch has none.
  virtual std::vector<double> closed_form_lrs() { return {}; }
  // Attributes that torch sets before those of the base.
  virtual void own_fields(StateFields& fields) = 0;
  // Those that it sets after them.
  virtual void last_fields(StateFields& /*fields*/) {}

  // Throws std::invalid_argument when there is not one rate for each group.
  void set_lrs(const std::vector<double>& lrs);
  // Throws std::invalid_argument, as torch's strict zip() does, unless the optimizer has `known`
  // groups: one may have been added since this scheduler was made.
  void check_groups(std::size_t known) const;
  // The same for one group, which has `option` when this scheduler has prepared it.
  void check_prepared(const ParamGroup& group, std::string_view option) const;
  void set_base_lrs(std::vector<double> lrs) { base_lrs_ = std::move(lrs); }
  std::vector<double> current_lrs() const;
  std::int64_t last_epoch() const { return last_epoch_; }
  std::int64_t step_count() const { return step_count_; }
  bool is_initial() const { return is_initial_; }
  const std::vector<double>& base_lrs() const { return base_lrs_; }

  std::int64_t last_epoch_ = -1;
  std::vector<double> last_lr_;

 private:
  Optimizer* optimizer_;
  std::vector<double> base_lrs_;
  std::int64_t step_count_ = 0;
  bool is_initial_ = false;
};

// One value per group, from as many or from one. Throws std::invalid_argument in torch's words.
std::vector<double> per_group(const char* name, const std::vector<double>& values,
                              std::size_t groups);

// Builds and starts one.
template <typename T, typename... Args>
std::unique_ptr<TorchScheduler> started(Args&&... args) {
  auto scheduler = std::make_unique<T>(std::forward<Args>(args)...);
  scheduler->start();
  return scheduler;
}

}  // namespace lctl
