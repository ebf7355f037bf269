// What W&B keeps of a ModelCheckpoint's file beside its bytes.
#pragma once

#include <string>

#include "worker/trainer/loggers/logger.h"

namespace lctl {

class ModelCheckpoint;
class Trainer;

namespace wandb {

// The ModelCheckpoint of that run which has just decided to save `path`; null when none did.
const ModelCheckpoint* owner_of(Trainer& trainer, const std::string& path);

// Lightning's metadata of the artifact, as JSON.
std::string model_metadata(const SavedCheckpoint& saved, const ModelCheckpoint* owner);

}  // namespace wandb
}  // namespace lctl
