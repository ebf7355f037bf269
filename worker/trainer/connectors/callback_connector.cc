#include "worker/trainer/connectors/callback_connector.h"

#include <fmt/format.h>

#include <algorithm>

#include "worker/trainer/callbacks/model_checkpoint.h"
#include "worker/trainer/callbacks/model_summary.h"
#include "worker/trainer/callbacks/progress_bar.h"
#include "worker/trainer/callbacks/timer.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"

namespace lctl {
namespace {

bool has_kind(const std::vector<std::shared_ptr<Callback>>& callbacks, Callback::Kind kind) {
  return std::any_of(callbacks.begin(), callbacks.end(),
                     [kind](const auto& callback) { return callback->kind() == kind; });
}

void check_conflicts(const std::vector<std::shared_ptr<Callback>>& callbacks,
                     const TrainerOptions& options) {
  if (!options.enable_checkpointing && has_kind(callbacks, Callback::Kind::kCheckpoint)) {
    throw MisconfigurationException(
        "Trainer was configured with `enable_checkpointing=False` but found `ModelCheckpoint` in "
        "callbacks list.");
  }
  const auto bars = std::count_if(callbacks.begin(), callbacks.end(), [](const auto& callback) {
    return callback->kind() == Callback::Kind::kProgressBar;
  });
  if (bars > 1) {
    throw MisconfigurationException(
        "You added multiple progress bar callbacks to the Trainer, but currently only one progress "
        "bar is supported.");
  }
  if (!options.enable_progress_bar && bars > 0) {
    throw MisconfigurationException(
        "Trainer was configured with `enable_progress_bar=False` but found `TQDMProgressBar` in "
        "callbacks list.");
  }
  for (std::size_t i = 0; i < callbacks.size(); ++i) {
    const bool stateful = callbacks[i]->state_dict().size() > 0;
    for (std::size_t j = 0; stateful && j < i; ++j) {
      if (callbacks[i]->state_key() != callbacks[j]->state_key()) continue;
      throw MisconfigurationException(fmt::format(
          "Found more than one stateful callback of type `{}`. In the current configuration, "
          "this callback does not support being saved alongside other instances of the same "
          "type.",
          callbacks[i]->type_name()));
    }
  }
}

}  // namespace

std::vector<std::shared_ptr<Callback>> complete_callbacks(
    std::vector<std::shared_ptr<Callback>> callbacks, const TrainerOptions& options) {
  check_conflicts(callbacks, options);
  if (options.max_time.has_value()) {
    const bool has_timer =
        std::any_of(callbacks.begin(), callbacks.end(),
                    [](const auto& callback) { return callback->type_name() == "Timer"; });
    if (has_timer) {
      console::info("Ignoring `Trainer(max_time=...)`, callbacks list already contains a Timer.");
    } else {
      callbacks.push_back(std::make_shared<Timer>(TimerOptions{.duration = options.max_time}));
    }
  }
  if (options.enable_progress_bar && !has_kind(callbacks, Callback::Kind::kProgressBar)) {
    callbacks.push_back(std::make_shared<ProgressBar>("TQDMProgressBar", 1));
  }
  if (options.enable_model_summary) {
    if (has_kind(callbacks, Callback::Kind::kModelSummary)) {
      console::info(
          "Trainer already configured with model summary callbacks: [<class "
          "'lightning.pytorch.callbacks.model_summary.ModelSummary'>]. Skipping setting a default "
          "`ModelSummary` callback.");
    } else {
      callbacks.push_back(std::make_shared<ModelSummary>(1));
    }
  }
  if (options.enable_checkpointing && !has_kind(callbacks, Callback::Kind::kCheckpoint)) {
    callbacks.push_back(std::make_shared<ModelCheckpoint>(ModelCheckpointOptions{}));
  }
  return callbacks;
}

}  // namespace lctl
