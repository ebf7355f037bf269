// Hook calls as actions of a profiler, under Lightning's names.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "worker/trainer/core/hook.h"
#include "worker/trainer/profilers/profiler.h"

namespace lctl {

class Callback;

// "[LightningModule]<Class>.<hook>", "[LightningDataModule]<Class>.<hook>",
// "[Callback]<state_key>.<hook>", "[Strategy]<Class>.<hook>". Names are made at the first call of
// each; a call costs an array access, a callback's one hash look-up more.
// Thread rule: one strand only (the training thread).
class HookActions {
 public:
  // `strategy`: its class, "SingleDeviceStrategy".
  HookActions(std::shared_ptr<Profiler> profiler, const std::string& strategy);

  Profiler& profiler() const { return *profiler_; }

  // Before each run; callbacks of the one before may be gone. Classes; `data` "" = no data module.
  void connect(std::string_view module, std::string_view data);

  // As in Lightning the steps are the strategy's, and the module's part of a backward is none of
  // its own: null.
  const Action* of_module(Hook hook);
  const Action& of_data_module(Hook hook) { return find(data_module_, hook); }
  const Action& of_strategy(Hook hook) { return find(strategy_, hook); }
  const Action& of_callback(const Callback& callback, Hook hook);
  // A strategy's hook that no one else has.
  const Action& batch_to_device() const { return batch_to_device_; }

 private:
  struct Owner {
    std::string prefix;
    std::array<const Action*, kHookCount> actions{};
  };
  const Action& find(Owner& owner, Hook hook);

  std::shared_ptr<Profiler> profiler_;
  Owner strategy_;
  const Action& batch_to_device_;
  Owner module_;
  Owner data_module_;
  std::unordered_map<const Callback*, Owner> callbacks_;
};

}  // namespace lctl
