// `import lightning as L` for C++: all that a training program of one's own needs.
//
//   #include "worker/trainer/lightning.h"
//   namespace L = lctl;
//
// docs/cpp_api.md is the guide, examples/cpp/ has programs to start from. Slow to compile (LibTorch
// comes along): include it in the program's own files only.
#pragma once

#include <torch/torch.h>

#include "worker/trainer/callbacks/backbone_finetuning.h"
#include "worker/trainer/callbacks/base_finetuning.h"
#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/callbacks/device_stats_monitor.h"
#include "worker/trainer/callbacks/early_stopping.h"
#include "worker/trainer/callbacks/finite_guard.h"
#include "worker/trainer/callbacks/gradient_accumulation_scheduler.h"
#include "worker/trainer/callbacks/lambda_callback.h"
#include "worker/trainer/callbacks/learning_rate_monitor.h"
#include "worker/trainer/callbacks/model_checkpoint.h"
#include "worker/trainer/callbacks/model_summary.h"
#include "worker/trainer/callbacks/on_exception_checkpoint.h"
#include "worker/trainer/callbacks/progress_bar.h"
#include "worker/trainer/callbacks/replica_check.h"
#include "worker/trainer/callbacks/spike_detection.h"
#include "worker/trainer/callbacks/stochastic_weight_averaging.h"
#include "worker/trainer/callbacks/throughput_monitor.h"
#include "worker/trainer/callbacks/timer.h"
#include "worker/trainer/callbacks/weight_averaging.h"
#include "worker/trainer/checkpoint/load_from_checkpoint.h"
#include "worker/trainer/core/activation_checkpoint.h"
#include "worker/trainer/core/batch_norm.h"
#include "worker/trainer/core/lightning_data_module.h"
#include "worker/trainer/core/lightning_module.h"
#include "worker/trainer/core/optimizers_config.h"
#include "worker/trainer/core/random.h"
#include "worker/trainer/data/combined_loader.h"
#include "worker/trainer/data/dataset.h"
#include "worker/trainer/data/images/image_folder.h"
#include "worker/trainer/data/iterable_data_loader.h"
#include "worker/trainer/data/map_data_loader.h"
#include "worker/trainer/data/modules/csv_data_module.h"
#include "worker/trainer/data/modules/image_data_modules.h"
#include "worker/trainer/data/modules/synthetic_data_module.h"
#include "worker/trainer/data/modules/tensor_data_module.h"
#include "worker/trainer/data/modules/token_data_module.h"
#include "worker/trainer/data/modules/web_data_module.h"
#include "worker/trainer/data/transforms/transform_factory.h"
#include "worker/trainer/loggers/csv_logger.h"
#include "worker/trainer/loggers/tensorboard_graph.h"
#include "worker/trainer/loggers/tensorboard_logger.h"
#include "worker/trainer/loggers/wandb/wandb_logger.h"
#include "worker/trainer/optim/adadelta.h"
#include "worker/trainer/optim/adafactor.h"
#include "worker/trainer/optim/adagrad.h"
#include "worker/trainer/optim/adam.h"
#include "worker/trainer/optim/adam_variants.h"
#include "worker/trainer/optim/asgd.h"
#include "worker/trainer/optim/lbfgs.h"
#include "worker/trainer/optim/lr_scheduler/composed.h"
#include "worker/trainer/optim/lr_scheduler/cosine.h"
#include "worker/trainer/optim/lr_scheduler/cyclic.h"
#include "worker/trainer/optim/lr_scheduler/multiplicative.h"
#include "worker/trainer/optim/lr_scheduler/one_cycle.h"
#include "worker/trainer/optim/lr_scheduler/reduce_on_plateau.h"
#include "worker/trainer/optim/muon.h"
#include "worker/trainer/optim/rmsprop.h"
#include "worker/trainer/optim/rprop.h"
#include "worker/trainer/optim/sgd.h"
#include "worker/trainer/profilers/advanced_profiler.h"
#include "worker/trainer/profilers/module_scope.h"
#include "worker/trainer/profilers/pytorch_profiler.h"
#include "worker/trainer/profilers/simple_profiler.h"
#include "worker/trainer/program/user_program.h"
#include "worker/trainer/trainer/trainer.h"
#include "worker/trainer/tuner/tuner.h"

#include <concepts>
#include <memory>
#include <utility>
#include <vector>

namespace lctl {

// Python's keyword arguments: make<ModelCheckpoint>({.monitor = "val/loss", .mode = "min"}) for any
// callback or logger whose arguments are a struct `Options`.
template <typename T>
std::shared_ptr<T> make(typename T::Options options = {}) {
  return std::make_shared<T>(std::move(options));
}

// make_optimizer<SGD>(parameters(), {.lr = 0.1, .momentum = 0.9}).
template <std::derived_from<Optimizer> T>
std::unique_ptr<T> make_optimizer(std::vector<at::Tensor> params,
                                  typename T::Options options = {}) {
  return std::make_unique<T>(std::move(params), options);
}

// torch.utils.data.DataLoader: make_dataloader(train_data, {.batch_size = 32, .shuffle = true}).
inline std::shared_ptr<DataLoader> make_dataloader(std::shared_ptr<const Dataset> dataset,
                                                   MapDataLoader::Options options = {}) {
  return std::make_shared<MapDataLoader>(std::move(dataset), std::move(options));
}

}  // namespace lctl
