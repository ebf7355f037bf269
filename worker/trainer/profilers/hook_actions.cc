#include "worker/trainer/profilers/hook_actions.h"

#include <fmt/format.h>

#include "worker/trainer/callbacks/callback.h"

namespace lctl {

HookActions::HookActions(std::shared_ptr<Profiler> profiler, const std::string& strategy)
    : profiler_(std::move(profiler)),
      strategy_{fmt::format("[Strategy]{}.", strategy), {}},
      batch_to_device_(profiler_->action(strategy_.prefix + "batch_to_device")) {}

void HookActions::connect(std::string_view module, std::string_view data) {
  module_ = {fmt::format("[LightningModule]{}.", module), {}};
  data_module_ = {fmt::format("[LightningDataModule]{}.", data), {}};
  callbacks_.clear();
}

const Action& HookActions::find(Owner& owner, Hook hook) {
  const Action*& action = owner.actions[static_cast<std::size_t>(hook)];
  if (action == nullptr) action = &profiler_->action(owner.prefix + std::string(hook_name(hook)));
  return *action;
}

const Action* HookActions::of_module(Hook hook) {
  switch (hook) {
    case Hook::training_step:
    case Hook::validation_step:
    case Hook::test_step:
    case Hook::predict_step:
      return &of_strategy(hook);
    case Hook::backward:
      return nullptr;
    default:
      return &find(module_, hook);
  }
}

const Action& HookActions::of_callback(const Callback& callback, Hook hook) {
  const auto [owner, added] = callbacks_.try_emplace(&callback);
  if (added) owner->second.prefix = fmt::format("[Callback]{}.", callback.state_key());
  return find(owner->second, hook);
}

}  // namespace lctl
