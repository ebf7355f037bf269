#include "worker/trainer/loggers/wandb/saved_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "worker/trainer/callbacks/model_checkpoint.h"
#include "worker/trainer/loggers/wandb/json_text.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl::wandb {
namespace {

checkpoint::Value save_last_of(SaveLast save_last) {
  switch (save_last) {
    case SaveLast::kNo:
      return checkpoint::None();
    case SaveLast::kYes:
      return true;
    case SaveLast::kLink:
      return "link";
  }
  return checkpoint::None();
}

}  // namespace

const ModelCheckpoint* owner_of(Trainer& trainer, const std::string& path) {
  for (const auto& callback : trainer.callbacks()) {
    const auto* candidate = dynamic_cast<const ModelCheckpoint*>(callback.get());
    if (candidate == nullptr) continue;
    const auto& best = candidate->best_k_models();
    if (candidate->best_model_path() == path || candidate->last_model_path() == path ||
        std::any_of(best.begin(), best.end(),
                    [&path](const auto& entry) { return entry.first == path; })) {
      return candidate;
    }
  }
  return nullptr;
}

std::string model_metadata(const SavedCheckpoint& saved, const ModelCheckpoint* owner) {
  checkpoint::Dict metadata;
  metadata.set("score", saved.monitor.empty() ? checkpoint::Value() : saved.score);
  metadata.set("original_filename", std::filesystem::path(saved.path).filename().string());
  if (owner != nullptr) {
    const ModelCheckpointOptions& options = owner->options();
    checkpoint::Dict settings;
    settings.set("monitor",
                 options.monitor ? checkpoint::Value(*options.monitor) : checkpoint::Value());
    settings.set("mode", options.mode);
    settings.set("save_last", save_last_of(options.save_last));
    settings.set("save_top_k", options.save_top_k);
    settings.set("save_weights_only", options.save_weights_only);
    settings.set("_every_n_train_steps", options.every_n_train_steps.value_or(0));
    metadata.set("ModelCheckpoint", std::move(settings));
  }
  return json_of(checkpoint::Value(std::move(metadata)));
}

}  // namespace lctl::wandb
