// Tensors and numbers as JSON, for summaries.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "worker/trainer/core/trainable_module.h"

namespace lctl {

// JSON has no NaN and no infinity: they are "nan", "inf" and "-inf".
nlohmann::ordered_json json_number(double value);

// {name, dtype, shape, sha256, sum, l2}; the last two computed in double.
nlohmann::ordered_json json_of_tensor(const std::string& name, const at::Tensor& tensor);

// That of all parameters and buffers, in the order of state_dict.
nlohmann::ordered_json json_of_state(const TrainableModule& module);

}  // namespace lctl
