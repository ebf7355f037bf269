#include "worker/trainer/callbacks/weight_averaging.h"

#include <ATen/ops/scalar_tensor.h>

#include <utility>

#include "worker/trainer/core/console.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {

using Part = AveragedModel::Part;

WeightAveraging::WeightAveraging(WeightAveragingOptions options, AverageFunction average)
    : options_(std::move(options)), average_(std::move(average)) {}

checkpoint::Dict WeightAveraging::state_dict() {
  checkpoint::Dict state;
  state.set("latest_update_step", latest_update_step_);
  return state;
}

void WeightAveraging::load_state_dict(const checkpoint::Dict& state) {
  latest_update_step_ = state.at("latest_update_step").as_int();
}

void WeightAveraging::setup(Trainer& trainer, TrainableModule& module, std::string_view stage) {
  if (stage != "fit") return;
  // All layers must be there to be copied; the trainer calls the hook once more later.
  if (module.overrides(Hook::configure_model) || trainer.hooks().observed()) {
    console::warn(
        "You're using the WeightAveraging callback with a model that overrides the configure_model "
        "callback. WeightAveraging doesn't support sharding model layers, so you may run out of "
        "memory.");
    trainer.hooks().module(Hook::configure_model, &TrainableModule::configure_model);
  }
  averaged_.emplace(module, options_.device ? c10::Device(*options_.device) : module.device());
  count_ = 0;
}

void WeightAveraging::update() {
  averaged_->update(options_.use_buffers ? Part::kAll : Part::kParameters, count_, average_);
  if (!options_.use_buffers) averaged_->copy_from_module(Part::kBuffers);
  ++count_;
}

void WeightAveraging::on_train_batch_end(Trainer& trainer, TrainableModule& /*module*/,
                                         const StepOutput& /*output*/, const Batch& /*batch*/,
                                         std::int64_t /*batch_idx*/) {
  const std::int64_t steps = trainer.global_step();
  if (steps <= latest_update_step_ || !should_update_after_step(steps - 1)) return;
  update();
  latest_update_step_ = steps;
}

void WeightAveraging::on_train_epoch_end(Trainer& trainer, TrainableModule& /*module*/) {
  const std::int64_t epoch = trainer.current_epoch();
  if (epoch <= latest_update_epoch_ || !should_update_after_epoch(epoch)) return;
  update();
  latest_update_epoch_ = epoch;
}

void WeightAveraging::on_train_end(Trainer& /*trainer*/, TrainableModule& /*module*/) {
  averaged_->copy_to_module(Part::kAll);
}

void WeightAveraging::on_validation_epoch_start(Trainer& /*trainer*/, TrainableModule& /*module*/) {
  if (averaged_) averaged_->swap_with_module();
}

void WeightAveraging::on_validation_epoch_end(Trainer& /*trainer*/, TrainableModule& /*module*/) {
  if (averaged_) averaged_->swap_with_module();
}

void WeightAveraging::on_save_checkpoint(Trainer& /*trainer*/, TrainableModule& /*module*/,
                                         checkpoint::Dict& checkpoint) {
  if (!averaged_) {
    console::info(
        "You're using the WeightAveraging callback, but saving a checkpoint outside the 'fit' "
        "stage. The state of the WeightAveraging callback won't be saved in the checkpoint. If "
        "training has finished, the average model parameters will be saved to the state_dict in "
        "the checkpoint.");
    return;
  }
  checkpoint.set("current_model_state", checkpoint.at("state_dict"));
  checkpoint.set("state_dict", averaged_->state_dict());
  checkpoint::Dict averaging;
  averaging.set("n_averaged", at::scalar_tensor(count_, at::kLong));
  checkpoint.set("averaging_state", std::move(averaging));
}

void WeightAveraging::on_load_checkpoint(Trainer& /*trainer*/, TrainableModule& module,
                                         checkpoint::Dict& checkpoint) {
  if (!averaged_) {
    console::warn(
        "You're using the WeightAveraging callback, but loading a checkpoint outside the 'fit' "
        "stage. The WeightAveraging state cannot be restored. If you're using the checkpoint for "
        "prediction or testing, you can ignore this warning. To disable the warning, remove the "
        "WeightAveraging callback.");
    return;
  }
  const checkpoint::Dict& average = checkpoint.at("state_dict").as_dict();
  const checkpoint::Value* current = checkpoint.find("current_model_state");
  const checkpoint::Value* averaging = checkpoint.find("averaging_state");
  if (current == nullptr || averaging == nullptr) {
    console::warn(
        "The checkpoint was not created with WeightAveraging. Both the current and the average "
        "model will be initialized with state_dict.");
    averaged_->load_state_dict(average, /*strict=*/false);
    return;
  }
  console::info(
      "Found current_model_state in the checkpoint. This will be used to initialize the model.");
  averaged_->load_state_dict(average, /*strict=*/true);
  count_ = averaging->as_dict().at("n_averaged").as_tensor().item().toLong();
  module.load_state_dict(current->as_dict(), /*strict=*/true);
}

EMAWeightAveraging::EMAWeightAveraging(const EmaWeightAveragingOptions& options)
    : WeightAveraging(options.base, exponential_average(options.decay)), options_(options) {}

bool EMAWeightAveraging::should_update_after_step(std::int64_t step) const {
  return step >= options_.update_starting_at_step.value_or(0) &&
         options_.update_every_n_steps > 0 && step % options_.update_every_n_steps == 0;
}

bool EMAWeightAveraging::should_update_after_epoch(std::int64_t epoch) const {
  return options_.update_starting_at_epoch && epoch >= *options_.update_starting_at_epoch;
}

}  // namespace lctl
