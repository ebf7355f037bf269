// What a rank goes on with from a checkpoint that fewer or more ranks have written.
#pragma once

#include <cstdint>

#include "worker/trainer/checkpoint/value.h"

namespace lctl {

// `ranks`: what each of them had (FitLoop::exact_state()). Each rank that was there has its own
// back, with what those have logged in this epoch who are not there any more, so that its metrics
// lose nothing. One that was not there begins with empty metrics, so that they count nothing twice,
// and gets "reseed": generators of its own, of this seed.
checkpoint::Dict regrouped_state(const checkpoint::List& ranks, int rank, int world_size,
                                 std::uint64_t seed);

}  // namespace lctl
