#include "worker/trainer/core/trainable_module.h"

#include <ATen/core/Tensor.h>

#include <stdexcept>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/optimizers_config.h"
#include "worker/trainer/data/data_loader.h"

namespace lctl {
namespace {

[[noreturn]] void not_defined(const char* step) {
  throw MisconfigurationException(std::string("No `") + step +
                                  "()` method defined in this module.");
}

}  // namespace

TrainableModule::TrainableModule() {
  overridden_.set();
  for (const Hook hook :
       {Hook::on_validation_model_train, Hook::on_test_model_train, Hook::on_predict_model_train,
        Hook::on_before_batch_transfer, Hook::transfer_batch_to_device,
        Hook::on_after_batch_transfer, Hook::optimizer_step, Hook::optimizer_zero_grad}) {
    overridden_.reset(static_cast<std::size_t>(hook));
  }
}
TrainableModule::~TrainableModule() = default;

Batch TrainableModule::call(const Batch&) {
  throw MisconfigurationException(
      type_name() +
      " has no `forward` that lctl knows: override `forward(const at::Tensor&)`, or "
      "`call(const Batch&)` for inputs of another kind");
}

StepOutput TrainableModule::training_step(const Batch&, std::int64_t) {
  not_defined("training_step");
}
StepOutput TrainableModule::validation_step(const Batch&, std::int64_t, std::int64_t) {
  not_defined("validation_step");
}
StepOutput TrainableModule::test_step(const Batch&, std::int64_t, std::int64_t) {
  not_defined("test_step");
}
Batch TrainableModule::predict_step(const Batch& batch, std::int64_t, std::int64_t) {
  return call(batch);
}

OptimizersConfig TrainableModule::configure_optimizers() { return {}; }
std::vector<std::shared_ptr<Callback>> TrainableModule::configure_callbacks() { return {}; }
std::shared_ptr<DataLoader> TrainableModule::train_dataloader() { return nullptr; }
std::vector<std::shared_ptr<DataLoader>> TrainableModule::val_dataloader() { return {}; }
std::vector<std::shared_ptr<DataLoader>> TrainableModule::test_dataloader() { return {}; }
std::vector<std::shared_ptr<DataLoader>> TrainableModule::predict_dataloader() { return {}; }

void TrainableModule::on_validation_model_zero_grad() {
  for (const NamedTensor& parameter : parameter_list()) {
    at::Tensor tensor = parameter.tensor;
    tensor.mutable_grad().reset();
  }
}

Batch TrainableModule::on_before_batch_transfer(Batch batch, std::int64_t) { return batch; }

Batch TrainableModule::transfer_batch_to_device(Batch batch, c10::Device device, std::int64_t) {
  if (device.is_cpu()) return batch;
  return batch.transformed([device](const at::Tensor& tensor) {
    return tensor.to(device, tensor.scalar_type(), /*non_blocking=*/true);
  });
}

Batch TrainableModule::on_after_batch_transfer(Batch batch, std::int64_t) { return batch; }

void TrainableModule::backward(const at::Tensor& loss) { loss.backward(); }

void TrainableModule::optimizer_step(std::int64_t, std::int64_t, Optimizer&,
                                     const OptimizerClosure& closure) {
  closure();
}

void TrainableModule::optimizer_zero_grad(std::int64_t, std::int64_t, Optimizer& optimizer) {
  optimizer.zero_grad();
}

void TrainableModule::configure_gradient_clipping(Optimizer& optimizer, double clip_val,
                                                  ClipAlgorithm algorithm) {
  if (clip_val > 0) clip_gradients(optimizer, clip_val, algorithm);
}

void TrainableModule::lr_scheduler_step(LRSchedulerConfig& config, const double* metric) {
  config.scheduler->step(metric);
}

void TrainableModule::log(std::string_view name, const at::Tensor& value,
                          const LogOptions& options) {
  if (sink_ == nullptr) {
    console::warn(
        "You are trying to `self.log()` but the `self.trainer` reference is not registered on the "
        "model yet. This is most "
        "likely because the model hasn't been passed to the `Trainer`");
    return;
  }
  sink_->log(name, value, options);
}

void TrainableModule::log(std::string_view name, double value, const LogOptions& options) {
  if (sink_ != nullptr) sink_->log(name, value, options);
}

void TrainableModule::log_dict(const std::vector<std::pair<std::string, LogValue>>& values,
                               const LogOptions& options) {
  for (const auto& [name, value] : values)
    std::visit([&, &name = name](const auto& held) { log(name, held, options); }, value.held);
}

void TrainableModule::save_hyperparameters(checkpoint::Dict values, std::string name) {
  hparams_ = std::move(values);
  hparams_name_ = std::move(name);
}

void TrainableModule::attach(Trainer* trainer, LogSink* sink) {
  trainer_ = trainer;
  sink_ = sink;
}

}  // namespace lctl
