// Parameter groups as torch's optimizers save them.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/trainer/checkpoint/value.h"
#include "worker/trainer/optim/optimizer.h"

namespace lctl {

// A number of a saved state; torch sometimes keeps it as a tensor.
double saved_number(const checkpoint::Value& value);

// {"lr", the options, "params": [first_index, …]}.
checkpoint::Dict saved_group(const ParamGroup& group, std::int64_t first_index);

// Takes rate and options over; what a file of an older torch does not have keeps its present value.
void load_group(ParamGroup& group, const checkpoint::Dict& saved);

// Throws std::invalid_argument in torch's words when number or sizes of the groups differ.
void check_saved_groups(const checkpoint::List& saved, const std::vector<ParamGroup>& groups);

}  // namespace lctl
