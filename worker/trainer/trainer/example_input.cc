#include "worker/trainer/trainer/example_input.h"

#include "worker/trainer/connectors/batch_transfer.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {

Batch transferred_example(Trainer& trainer, TrainableModule& module) {
  if (module.example_input_array.is_none()) return {};
  return transferred(module.example_input_array, 0, trainer.precision(), trainer.data_module(),
                     module, trainer.strategy().root_device());
}

}  // namespace lctl
