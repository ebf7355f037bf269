// The module's example_input_array, as its forward wants it.
#pragma once

#include "worker/trainer/data/batch.h"

namespace lctl {

class TrainableModule;
class Trainer;

// On the way of a batch of the first loader: transfer hooks, the run's device, and, beyond
// Lightning, the precision's type, without which a 64-true or bf16-true model refuses a float32
// example. None when the module has no example. Thread rule: caller locks.
Batch transferred_example(Trainer& trainer, TrainableModule& module);

}  // namespace lctl
