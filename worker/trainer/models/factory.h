// Models by the class name of a job file.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "jobspec/config.h"
#include "worker/trainer/core/optimizers_config.h"
#include "worker/trainer/core/trainable_module.h"

namespace lctl {

// What configure_optimizers returns for a model: the job file's `optimizer` and `lr_scheduler`.
// Gets the parameters in torch's order. Null = no optimizer.
using OptimizerFactory = std::function<OptimizersConfig(std::vector<at::Tensor> parameters)>;

// Builds the model of a job file's `model` section, drawing initial values from the global
// generator. Throws std::invalid_argument that names the key.
std::shared_ptr<TrainableModule> make_model(const jobspec::ClassSpec& spec,
                                            OptimizerFactory optimizers);

// All names that make_model() knows, and those that may stand in `layers`.
std::vector<std::string_view> model_names();
std::vector<std::string_view> layer_names();

}  // namespace lctl
