// The one place through which hooks are called.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/core/hook.h"
#include "worker/trainer/core/lightning_data_module.h"
#include "worker/trainer/core/trainable_module.h"
#include "worker/trainer/profilers/hook_actions.h"
#include "worker/trainer/profilers/profiler.h"

namespace lctl {

enum class HookOwner : std::uint8_t { kCallback, kModule, kDataModule };

// Learns of every hook call at the moment it is entered. `stage` is set for setup and teardown;
// `numbers` are the call's integer arguments in order (batch_idx, …).
class HookObserver {
 public:
  virtual ~HookObserver() = default;
  virtual void entered(HookOwner owner, Hook hook, std::string_view stage,
                       const std::int64_t* numbers, int count) = 0;
};

// Calls a hook on all callbacks, on the module or on the data module, and remembers which hook is
// running (self.log's rules depend on it). Costs a virtual call, two stores, and one predictable
// branch for observer and profiler together.
// Thread rule: one strand only (the training thread).
class HookCaller {
 public:
  enum class Only : std::uint8_t { kAll, kMonitoring, kNotMonitoring };

  // All must outlive the run. `data` may be null.
  void connect(Trainer* trainer, TrainableModule* module, LightningDataModule* data,
               const std::vector<std::shared_ptr<Callback>>* callbacks) {
    trainer_ = trainer;
    module_ = module;
    data_ = data;
    callbacks_ = callbacks;
    if (actions_ != nullptr)
      actions_->connect(module->type_name(), data == nullptr ? std::string() : data->type_name());
  }

  // `self` is the observer as a callback: its own hooks are observed at its place in the list.
  void observe(HookObserver* observer, const Callback* self) {
    observer_ = observer;
    observer_callback_ = self;
    watched_ = true;
  }
  bool observed() const { return observer_ != nullptr; }

  // From now on every hook call is an action of that profiler. `strategy`: its class, which the
  // steps are named after. Before connect().
  void profile_with(std::shared_ptr<Profiler> profiler, std::string strategy) {
    actions_ = std::make_unique<HookActions>(std::move(profiler), std::move(strategy));
    watched_ = true;
  }
  // Null without one.
  Profiler* profiler() const { return actions_ == nullptr ? nullptr : &actions_->profiler(); }

  // ---- actions that are no hook calls of this class; nothing without a profiler
  ActionScope profile(std::string_view action) { return {profiler(), action}; }
  // Lightning's strategies have hooks of their own: backward, batch_to_device, on_train_start, …
  ActionScope profile_strategy(Hook hook) {
    return {profiler(), actions_ == nullptr ? nullptr : &actions_->of_strategy(hook)};
  }
  ActionScope profile_batch_to_device() {
    return {profiler(), actions_ == nullptr ? nullptr : &actions_->batch_to_device()};
  }
  // One that a strategy of this trainer has nothing to do in.
  void strategy(Hook hook) {
    if (watched_) [[unlikely]]
      profile_strategy(hook);
  }
  // Hooks that are called without this class, because nobody observes them.
  ActionScope profile_module(Hook hook) {
    // Lightning calls configure_model only where it is replaced.
    const bool called = hook != Hook::configure_model || module_->overrides(hook);
    return {profiler(), actions_ == nullptr || !called ? nullptr : actions_->of_module(hook)};
  }
  ActionScope profile_data_module(Hook hook) {
    return {profiler(), actions_ == nullptr ? nullptr : &actions_->of_data_module(hook)};
  }

  bool connected() const { return module_ != nullptr; }
  Hook current() const { return current_; }
  TrainableModule& module() const { return *module_; }
  LightningDataModule* data_module() const { return data_; }

  template <typename... Parameters, typename... Arguments>
  void callbacks(Hook hook, void (Callback::*method)(Trainer&, TrainableModule&, Parameters...),
                 Arguments&&... arguments) {
    filtered_callbacks(Only::kAll, hook, method, arguments...);
  }

  template <typename... Parameters, typename... Arguments>
  void filtered_callbacks(Only only, Hook hook,
                          void (Callback::*method)(Trainer&, TrainableModule&, Parameters...),
                          Arguments&&... arguments) {
    const Scope scope(*this, hook);
    for (const auto& callback : *callbacks_) {
      if (only != Only::kAll) {
        const Callback::Kind kind = callback->kind();
        const bool monitoring =
            kind == Callback::Kind::kMonitor || kind == Callback::Kind::kCheckpoint;
        if (monitoring != (only == Only::kMonitoring)) continue;
      }
      if (watched_) [[unlikely]] {
        const ActionScope action = profile_callback(*callback, hook);
        if (observer_callback_ == callback.get())
          observe_call(HookOwner::kCallback, hook, arguments...);
        ((*callback).*method)(*trainer_, *module_, arguments...);
      } else {
        ((*callback).*method)(*trainer_, *module_, arguments...);
      }
    }
  }

  template <typename Result, typename... Parameters, typename... Arguments>
  Result module(Hook hook, Result (TrainableModule::*method)(Parameters...),
                Arguments&&... arguments) {
    const Scope scope(*this, hook);
    if (watched_) [[unlikely]] {
      const ActionScope action = profile_module(hook);
      if (observer_ != nullptr) observe_call(HookOwner::kModule, hook, arguments...);
      return (module_->*method)(std::forward<Arguments>(arguments)...);
    }
    return (module_->*method)(std::forward<Arguments>(arguments)...);
  }

  // Both, in Lightning's order.
  template <typename... CallbackParameters, typename... ModuleParameters, typename... Arguments>
  void both(Hook hook,
            void (Callback::*callback_method)(Trainer&, TrainableModule&, CallbackParameters...),
            void (TrainableModule::*module_method)(ModuleParameters...), Arguments&&... arguments) {
    filtered_callbacks(Only::kAll, hook, callback_method, arguments...);
    module(hook, module_method, arguments...);
  }

  template <typename Result, typename... Parameters, typename... Arguments>
  Result data_module(Hook hook, Result (LightningDataModule::*method)(Parameters...),
                     Arguments&&... arguments) {
    if (watched_) [[unlikely]] {
      const ActionScope action = profile_data_module(hook);
      if (observer_ != nullptr) observe_call(HookOwner::kDataModule, hook, arguments...);
      return (data_->*method)(std::forward<Arguments>(arguments)...);
    }
    return (data_->*method)(std::forward<Arguments>(arguments)...);
  }

 private:
  class Scope {
   public:
    Scope(HookCaller& caller, Hook hook) : caller_(caller), before_(caller.current_) {
      caller.current_ = hook;
    }
    ~Scope() { caller_.current_ = before_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    HookCaller& caller_;
    Hook before_;
  };

  ActionScope profile_callback(const Callback& callback, Hook hook) {
    return {profiler(), actions_ == nullptr ? nullptr : &actions_->of_callback(callback, hook)};
  }

  template <typename... Arguments>
  void observe_call(HookOwner owner, Hook hook, const Arguments&... arguments) {
    std::array<std::int64_t, 4> numbers{};
    int count = 0;
    std::string_view stage;
    [[maybe_unused]] const auto look = [&](const auto& argument) {
      using T = std::decay_t<decltype(argument)>;
      if constexpr (std::is_integral_v<T>) {
        if (count < 4) numbers[static_cast<std::size_t>(count++)] = argument;
      } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
        stage = argument;
      }
    };
    (look(arguments), ...);
    observer_->entered(owner, hook, stage, numbers.data(), count);
  }

  Trainer* trainer_ = nullptr;
  TrainableModule* module_ = nullptr;
  LightningDataModule* data_ = nullptr;
  const std::vector<std::shared_ptr<Callback>>* callbacks_ = nullptr;
  HookObserver* observer_ = nullptr;
  const Callback* observer_callback_ = nullptr;
  std::unique_ptr<HookActions> actions_;
  bool watched_ = false;  // there is an observer or a profiler
  Hook current_ = Hook::kNone;
};

}  // namespace lctl
