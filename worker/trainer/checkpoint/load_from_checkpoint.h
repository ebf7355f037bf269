// load_from_checkpoint: a module or data module from a .ckpt of Lightning or lctl.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "worker/trainer/checkpoint/value.h"
#include "worker/trainer/core/lightning_data_module.h"
#include "worker/trainer/core/trainable_module.h"

namespace lctl {

// What save_hyperparameters() takes and a module's constructor may ask for.
using HParams = checkpoint::Dict;

struct LoadFromCheckpointOptions {
  // Hyper-parameters that replace or join those of the file.
  HParams hparams = {};
  // Every parameter must be in the file and in the module; unset: the module's strict_loading().
  std::optional<bool> strict = std::nullopt;
};

namespace load_from_checkpoint_internal {

// The file, with its hyper-parameters under `key` already joined by `changes`.
struct Loaded {
  checkpoint::Dict file;
  HParams hparams;
};
Loaded load(const std::filesystem::path& file, const char* key, const HParams& changes);

// on_load_checkpoint, then the weights. Errors name `file`.
void restore(TrainableModule& module, Loaded& loaded, const std::filesystem::path& file,
             const LoadFromCheckpointOptions& options);
void restore(LightningDataModule& data, Loaded& loaded);

template <typename T>
std::unique_ptr<T> construct(const HParams& hparams) {
  if constexpr (std::is_constructible_v<T, const HParams&>) {
    return std::make_unique<T>(hparams);
  } else {
    static_assert(std::is_default_constructible_v<T>,
                  "load_from_checkpoint<T> needs a constructor T(const HParams&), which gets the "
                  "hyper-parameters of the checkpoint, or T()");
    return std::make_unique<T>();
  }
}

}  // namespace load_from_checkpoint_internal

// Constructs T from the hyper-parameters in the file (T(const HParams&), else T()) and loads its
// weights, on the CPU; for a data module those saved with it, and its state. Executes nothing of
// the file. Throws what checkpoint::read_file() throws; std::runtime_error naming missing and
// unexpected keys when the weights do not fit.
//
//   auto model = load_from_checkpoint<LitModel>("best.ckpt", {.hparams = {{"dropout", 0.0}}});
template <typename T>
std::unique_ptr<T> load_from_checkpoint(const std::filesystem::path& file,
                                        const LoadFromCheckpointOptions& options = {}) {
  namespace internal = load_from_checkpoint_internal;
  constexpr bool kData = std::is_base_of_v<LightningDataModule, T>;
  internal::Loaded loaded = internal::load(
      file, kData ? "datamodule_hyper_parameters" : "hyper_parameters", options.hparams);
  std::unique_ptr<T> made = internal::construct<T>(loaded.hparams);
  if constexpr (kData) {
    internal::restore(*made, loaded);
  } else {
    internal::restore(*made, loaded, file, options);
  }
  return made;
}

}  // namespace lctl
