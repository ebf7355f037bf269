// The names of all hooks, as Lightning spells them. One list, from which everything that must know
// hooks by name is made: the funnel that calls them, self.log's rules, traces and profiles.
#pragma once

#include <cstdint>
#include <string_view>

namespace lctl {

// X(name). Order has no meaning.
// clang-format off
#define LCTL_HOOKS(X) \
  X(prepare_data) X(setup) X(teardown) X(configure_callbacks) X(configure_model) \
  X(configure_optimizers) X(on_fit_start) X(on_fit_end) X(on_sanity_check_start) \
  X(on_sanity_check_end) X(on_train_start) X(on_train_end) X(on_train_epoch_start) \
  X(on_train_epoch_end) X(on_train_batch_start) X(on_train_batch_end) X(on_validation_start) \
  X(on_validation_end) X(on_validation_epoch_start) X(on_validation_epoch_end) \
  X(on_validation_batch_start) X(on_validation_batch_end) X(on_test_start) X(on_test_end) \
  X(on_test_epoch_start) X(on_test_epoch_end) X(on_test_batch_start) X(on_test_batch_end) \
  X(on_predict_start) X(on_predict_end) X(on_predict_epoch_start) X(on_predict_epoch_end) \
  X(on_predict_batch_start) X(on_predict_batch_end) X(on_validation_model_zero_grad) \
  X(on_validation_model_eval) X(on_validation_model_train) X(on_test_model_eval) \
  X(on_test_model_train) X(on_predict_model_eval) X(on_predict_model_train) \
  X(on_before_zero_grad) X(on_before_backward) X(on_after_backward) X(on_before_optimizer_step) \
  X(on_save_checkpoint) X(on_load_checkpoint) X(on_exception) X(training_step) \
  X(validation_step) X(test_step) X(predict_step) X(optimizer_step) X(optimizer_zero_grad) \
  X(backward) X(lr_scheduler_step) X(configure_gradient_clipping) X(on_before_batch_transfer) \
  X(transfer_batch_to_device) X(on_after_batch_transfer) X(train_dataloader) X(val_dataloader) \
  X(test_dataloader) X(predict_dataloader) X(state_dict) X(load_state_dict)
// clang-format on

enum class Hook : std::uint8_t {
#define LCTL_HOOK_ENUM(name) name,
  LCTL_HOOKS(LCTL_HOOK_ENUM)
#undef LCTL_HOOK_ENUM
      kNone,  // outside of every hook
};

inline constexpr int kHookCount = static_cast<int>(Hook::kNone);

// "on_train_start"; "" for kNone. Never allocates.
std::string_view hook_name(Hook hook);

}  // namespace lctl
