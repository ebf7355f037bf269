// hparams.yaml, as PyYAML writes it.
#pragma once

#include <string>

#include "worker/trainer/checkpoint/value.h"

namespace lctl {

// Block style with sorted keys; lists at their key's indentation; "{}\n" for nothing. Tensors are
// left out, as values that PyYAML cannot dump are.
std::string hparams_yaml(const checkpoint::Dict& hparams);

}  // namespace lctl
