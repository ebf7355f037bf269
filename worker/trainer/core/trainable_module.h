// What the trainer sees of a model: Lightning's steps and hooks, and the model's state by name.
//
// Kept apart from torch::nn::Module (core/lightning_module.h joins the two) for two reasons:
// modules that are not nn::Modules can be trained too, and the loops, callbacks and strategies that
// only need this header compile in a fifth of the time.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <bitset>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "worker/trainer/checkpoint/value.h"
#include "worker/trainer/core/gradient_clipping.h"
#include "worker/trainer/core/hook.h"
#include "worker/trainer/core/log_options.h"
#include "worker/trainer/core/step_output.h"
#include "worker/trainer/data/batch.h"

namespace lctl {

class Callback;
class DataLoader;
class LightningModule;
class Optimizer;
class Trainer;
struct LRSchedulerConfig;
struct OptimizersConfig;

using OptimizerClosure = std::function<void()>;

// A parameter or buffer under its dotted name ("net.0.weight").
struct NamedTensor {
  std::string name;
  at::Tensor tensor;  // the live one: writing to it changes the model
};

// One module of the tree, for summaries.
struct SubmoduleDescription {
  std::string name;  // dotted path; "" = the whole
  std::string type;  // "Linear"
  bool training = true;
  bool is_leaf = true;
  std::vector<at::Tensor> parameters;  // its own and those of the modules below it
};

// Every virtual has Lightning's name, meaning and default. The trainer calls them in Lightning's
// order, callbacks first. Errors are exceptions. `batch` arguments are on the module's device.
// Thread rule: one strand only (the training thread).
class TrainableModule {
 public:
  TrainableModule();
  virtual ~TrainableModule();
  TrainableModule(const TrainableModule&) = delete;
  TrainableModule& operator=(const TrainableModule&) = delete;

  // Python's `model(input)`: forward, for summaries, graphs, export and predict_step. By default it
  // throws: this class does not know the module's forward.
  virtual Batch call(const Batch& input);

  // ---- steps. A default implementation throws; see overrides(). That of predict_step is
  // call(batch).
  virtual StepOutput training_step(const Batch& batch, std::int64_t batch_idx);
  virtual StepOutput validation_step(const Batch& batch, std::int64_t batch_idx,
                                     std::int64_t dataloader_idx);
  virtual StepOutput test_step(const Batch& batch, std::int64_t batch_idx,
                               std::int64_t dataloader_idx);
  virtual Batch predict_step(const Batch& batch, std::int64_t batch_idx,
                             std::int64_t dataloader_idx);

  // ---- construction of what a run needs
  virtual void prepare_data() {}
  virtual void setup(std::string_view stage) {
    static_cast<void>(stage);
  }  // fit validate test predict
  virtual void teardown(std::string_view stage) { static_cast<void>(stage); }
  virtual void configure_model() {}
  virtual OptimizersConfig configure_optimizers();
  virtual std::vector<std::shared_ptr<Callback>> configure_callbacks();

  // ---- loaders, when no data module brings them; null / empty = none
  virtual std::shared_ptr<DataLoader> train_dataloader();
  virtual std::vector<std::shared_ptr<DataLoader>> val_dataloader();
  virtual std::vector<std::shared_ptr<DataLoader>> test_dataloader();
  virtual std::vector<std::shared_ptr<DataLoader>> predict_dataloader();

  // ---- hooks
  virtual void on_fit_start() {}
  virtual void on_fit_end() {}
  virtual void on_train_start() {}
  virtual void on_train_end() {}
  virtual void on_train_epoch_start() {}
  virtual void on_train_epoch_end() {}
  // Returning -1 ends the epoch before this batch.
  virtual int on_train_batch_start(const Batch& /*batch*/, std::int64_t /*batch_idx*/) { return 0; }
  virtual void on_train_batch_end(const StepOutput& /*outputs*/, const Batch& /*batch*/,
                                  std::int64_t /*batch_idx*/) {}
  virtual void on_validation_start() {}
  virtual void on_validation_end() {}
  virtual void on_validation_epoch_start() {}
  virtual void on_validation_epoch_end() {}
  virtual void on_validation_batch_start(const Batch& /*batch*/, std::int64_t /*batch_idx*/,
                                         std::int64_t /*dataloader_idx*/) {}
  virtual void on_validation_batch_end(const StepOutput& /*outputs*/, const Batch& /*batch*/,
                                       std::int64_t /*batch_idx*/,
                                       std::int64_t /*dataloader_idx*/) {}
  virtual void on_test_start() {}
  virtual void on_test_end() {}
  virtual void on_test_epoch_start() {}
  virtual void on_test_epoch_end() {}
  virtual void on_test_batch_start(const Batch& /*batch*/, std::int64_t /*batch_idx*/,
                                   std::int64_t /*dataloader_idx*/) {}
  virtual void on_test_batch_end(const StepOutput& /*outputs*/, const Batch& /*batch*/,
                                 std::int64_t /*batch_idx*/, std::int64_t /*dataloader_idx*/) {}
  virtual void on_predict_start() {}
  virtual void on_predict_end() {}
  virtual void on_predict_epoch_start() {}
  virtual void on_predict_epoch_end() {}
  virtual void on_predict_batch_start(const Batch& /*batch*/, std::int64_t /*batch_idx*/,
                                      std::int64_t /*dataloader_idx*/) {}
  virtual void on_predict_batch_end(const Batch& /*outputs*/, const Batch& /*batch*/,
                                    std::int64_t /*batch_idx*/, std::int64_t /*dataloader_idx*/) {}
  virtual void on_validation_model_zero_grad();  // default: gradients become undefined
  virtual void on_validation_model_eval() { set_training(false); }
  virtual void on_test_model_eval() { set_training(false); }
  virtual void on_predict_model_eval() { set_training(false); }
  // Replaced: the module's business. Else the trainer puts back the modes from before the run.
  virtual void on_validation_model_train() {}
  virtual void on_test_model_train() {}
  virtual void on_predict_model_train() {}
  virtual void on_before_zero_grad(Optimizer& /*optimizer*/) {}
  virtual void on_before_backward(const at::Tensor& /*loss*/) {}
  virtual void on_after_backward() {}
  virtual void on_before_optimizer_step(Optimizer& /*optimizer*/) {}
  virtual Batch on_before_batch_transfer(Batch batch, std::int64_t dataloader_idx);
  virtual Batch transfer_batch_to_device(Batch batch, c10::Device device,
                                         std::int64_t dataloader_idx);
  virtual Batch on_after_batch_transfer(Batch batch, std::int64_t dataloader_idx);
  // The whole checkpoint, to add to or to read from. Called before it is written / after it was
  // read.
  virtual void on_save_checkpoint(checkpoint::Dict& /*checkpoint*/) {}
  virtual void on_load_checkpoint(checkpoint::Dict& /*checkpoint*/) {}

  // ---- parts of an optimisation step that a module may replace
  virtual void backward(const at::Tensor& loss);
  // `closure` runs the training step, backward, the hooks before the update, and the update itself.
  virtual void optimizer_step(std::int64_t epoch, std::int64_t batch_idx, Optimizer& optimizer,
                              const OptimizerClosure& closure);
  virtual void optimizer_zero_grad(std::int64_t epoch, std::int64_t batch_idx,
                                   Optimizer& optimizer);
  virtual void configure_gradient_clipping(Optimizer& optimizer, double clip_val,
                                           ClipAlgorithm algorithm);
  virtual void lr_scheduler_step(LRSchedulerConfig& scheduler, const double* metric);

  // ---- state
  // Parameters in torch's order (a module's own, then its children's), each once.
  virtual std::vector<NamedTensor> parameter_list() const = 0;
  // Parameters and persistent buffers in the order of Python's state_dict.
  virtual std::vector<NamedTensor> state_list() const = 0;
  // The same as Lightning stores it: an OrderedDict with `_metadata`. Tensors are the live ones.
  virtual checkpoint::Dict state_dict() const = 0;
  // Copies values in. strict: throws std::runtime_error "Error(s) in loading state_dict for …"
  // naming missing, unexpected and misshapen keys; else ignores the first two.
  virtual void load_state_dict(const checkpoint::Dict& state, bool strict) = 0;
  virtual bool strict_loading() const { return true; }
  virtual std::vector<SubmoduleDescription> describe_submodules() const = 0;
  virtual std::string type_name() const = 0;

  // Mode of the whole tree; training_flags() in tree order lets the trainer restore mixed modes.
  virtual void set_training(bool on) = 0;
  virtual std::vector<bool> training_flags() const = 0;
  virtual void set_training_flags(const std::vector<bool>& flags) = 0;
  // Batch normalisation: begin_statistics() has every such layer gather its running statistics anew
  // (`from_zero`) or go on, all batches with the same weight; end_statistics() gives the layers
  // their own momentum back. False = the module has no such layer.
  virtual bool has_batch_norm() const { return false; }
  virtual void begin_statistics(bool /*from_zero*/) {}
  virtual void end_statistics() {}

  // Moves all parameters and buffers; floating ones to `dtype` too when it is defined.
  virtual void move_to(c10::Device device, std::optional<c10::ScalarType> dtype) = 0;

  // Floating point operations of one training batch, forward and backward, on one device; for
  // ThroughputMonitor.
  virtual std::optional<double> flops_per_batch() const { return std::nullopt; }

  // ---- self.log and self.log_dict
  void log(std::string_view name, const at::Tensor& value, const LogOptions& options = {});
  void log(std::string_view name, double value, const LogOptions& options = {});
  void log_dict(const std::vector<std::pair<std::string, LogValue>>& values,
                const LogOptions& options = {});

  // ---- hyper-parameters (self.save_hyperparameters): plain data, in order. Kept in checkpoints
  // and given to loggers. `name` is Lightning's hparams_name.
  void save_hyperparameters(checkpoint::Dict values, std::string name = "kwargs");
  const checkpoint::Dict& hparams() const { return hparams_; }
  checkpoint::Dict& hparams() { return hparams_; }
  const std::string& hparams_name() const { return hparams_name_; }

  // An input of call(): makes ModelSummary show sizes and operations, and TensorBoardLogger the
  // graph. None = not set.
  Batch example_input_array;

  // prepare_data runs on local rank 0 of every node, or else on global rank 0 only.
  bool prepare_data_per_node = true;

  // ---- where it runs; valid between setup and teardown
  Trainer* trainer() const { return trainer_; }
  c10::Device device() const { return device_; }
  bool automatic_optimization() const { return automatic_optimization_; }
  void set_automatic_optimization(bool on) { automatic_optimization_ = on; }

  // Whether the concrete class replaces that hook. Known for classes that went through
  // remember_overrides<T>(), which Trainer::fit and its like call; for others every step counts as
  // replaced, and none of the hooks that replace what the trainer does by itself.
  bool overrides(Hook hook) const { return overridden_[static_cast<std::size_t>(hook)]; }
  template <typename T>
  static void remember_overrides(T& module);

  // The trainer's side of the connection.
  void attach(Trainer* trainer, LogSink* sink);
  void set_device(c10::Device device) { device_ = device; }

 private:
  Trainer* trainer_ = nullptr;
  LogSink* sink_ = nullptr;
  c10::Device device_{c10::DeviceType::CPU};
  checkpoint::Dict hparams_;
  std::string hparams_name_;
  bool automatic_optimization_ = true;
  std::bitset<kHookCount> overridden_;
};

// The class that declares a member function. Only its type is of use.
template <typename Function, typename Class>
Class* declaring_class(Function Class::*);

// Whether T brings a `forward` of its own.
template <typename T>
constexpr bool defines_forward() {
  if constexpr (requires { declaring_class(&T::forward); }) {
    return !std::is_same_v<decltype(declaring_class(&T::forward)), LightningModule*>;
  } else {
    return std::is_base_of_v<LightningModule, T>;  // it has several of that name
  }
}

template <typename T>
void TrainableModule::remember_overrides(T& module) {
  // A member that T inherits unchanged has the type of the class that declares it.
#define LCTL_REMEMBER(step)                                                   \
  module.TrainableModule::overridden_[static_cast<std::size_t>(Hook::step)] = \
      !std::is_same_v<decltype(&T::step), decltype(&TrainableModule::step)>;
  LCTL_REMEMBER(training_step)
  LCTL_REMEMBER(validation_step)
  LCTL_REMEMBER(test_step)
  LCTL_REMEMBER(predict_step)
  LCTL_REMEMBER(val_dataloader)
  LCTL_REMEMBER(configure_optimizers)
  LCTL_REMEMBER(configure_model)
  LCTL_REMEMBER(on_validation_model_train)
  LCTL_REMEMBER(on_test_model_train)
  LCTL_REMEMBER(on_predict_model_train)
  LCTL_REMEMBER(on_before_batch_transfer)
  LCTL_REMEMBER(transfer_batch_to_device)
  LCTL_REMEMBER(on_after_batch_transfer)
  LCTL_REMEMBER(optimizer_step)
  LCTL_REMEMBER(optimizer_zero_grad)
#undef LCTL_REMEMBER
  // The default of predict_step is call(), and LightningModule's call() is forward().
  using CallOf = decltype(declaring_class(&T::call));
  const bool defines_call =
      !std::is_same_v<CallOf, TrainableModule*> && !std::is_same_v<CallOf, LightningModule*>;
  if (defines_call || defines_forward<T>())
    module.TrainableModule::overridden_.set(static_cast<std::size_t>(Hook::predict_step));
}

}  // namespace lctl
