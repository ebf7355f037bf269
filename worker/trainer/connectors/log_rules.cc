#include "worker/trainer/connectors/log_rules.h"

#include <string>

#include "worker/trainer/core/errors.h"

namespace lctl {
namespace {

enum class Rule { kForbidden, kBatchTrain, kBatchEval, kEpoch };

Rule rule_of(Hook hook) {
  switch (hook) {
    case Hook::training_step:
    case Hook::on_train_batch_start:
    case Hook::on_train_batch_end:
    case Hook::on_before_backward:
    case Hook::backward:
    case Hook::on_after_backward:
    case Hook::on_before_optimizer_step:
    case Hook::optimizer_step:
    case Hook::configure_gradient_clipping:
    case Hook::on_before_zero_grad:
    case Hook::optimizer_zero_grad:
      return Rule::kBatchTrain;
    case Hook::validation_step:
    case Hook::test_step:
    case Hook::on_validation_batch_start:
    case Hook::on_validation_batch_end:
    case Hook::on_test_batch_start:
    case Hook::on_test_batch_end:
      return Rule::kBatchEval;
    case Hook::on_train_start:
    case Hook::on_train_epoch_start:
    case Hook::on_train_epoch_end:
    case Hook::on_validation_start:
    case Hook::on_validation_epoch_start:
    case Hook::on_validation_epoch_end:
    case Hook::on_test_start:
    case Hook::on_test_epoch_start:
    case Hook::on_test_epoch_end:
      return Rule::kEpoch;
    default:
      return Rule::kForbidden;
  }
}

[[noreturn]] void level_not_allowed(Hook hook, const char* level, bool value, const char* allowed) {
  throw MisconfigurationException(
      std::string("You can't `self.log(") + level + "=" + (value ? "True" : "False") +
      ")` inside `" + std::string(hook_name(hook)) + "`, must be one of " + allowed + ".");
}

}  // namespace

LogLevels resolve_log_levels(Hook hook, const LogOptions& options) {
  if (hook == Hook::kNone) {
    throw MisconfigurationException(
        "You are trying to `self.log()` but it is not managed by the `Trainer` control flow");
  }
  const Rule rule = rule_of(hook);
  if (rule == Rule::kForbidden) {
    throw MisconfigurationException(
        "You can't `self.log()` inside `" + std::string(hook_name(hook)) +
        "`. HINT: You can still log directly to the logger by using `self.logger.experiment`.");
  }
  LogLevels levels;
  levels.on_step = options.on_step.value_or(rule == Rule::kBatchTrain);
  levels.on_epoch = options.on_epoch.value_or(rule != Rule::kBatchTrain);
  if (rule == Rule::kEpoch && levels.on_step) level_not_allowed(hook, "on_step", true, "(False,)");
  if (rule == Rule::kEpoch && !levels.on_epoch)
    level_not_allowed(hook, "on_epoch", false, "(True,)");
  if (!levels.on_step && !levels.on_epoch) {
    throw MisconfigurationException("`self.log(on_step=False, on_epoch=False)` is not useful.");
  }
  return levels;
}

}  // namespace lctl
