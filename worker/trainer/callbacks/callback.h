// A part that hooks into training: Lightning's Callback.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "worker/trainer/checkpoint/value.h"
#include "worker/trainer/core/trainable_module.h"

namespace lctl {

class Trainer;

// Hooks have Lightning's names, moments and arguments, and run before the module's hook of the same
// name, in the order of the trainer's list. All are called on the training thread of every rank.
// Thread rule: one strand only (the training thread).
class Callback {
 public:
  virtual ~Callback() = default;

  // The class without namespaces: "EarlyStopping".
  virtual std::string type_name() const;
  // Names this callback's state in checkpoints: the class, and what tells two of them apart.
  virtual std::string state_key() const { return type_name(); }
  virtual checkpoint::Dict state_dict() { return {}; }
  virtual void load_state_dict(const checkpoint::Dict& /*state*/) {}

  // Callbacks that watch metrics run after the module's on_train_epoch_end; checkpointing ones come
  // last in the list.
  enum class Kind : std::uint8_t {
    kPlain,
    kMonitor,
    kCheckpoint,
    kProgressBar,
    kModelSummary,
    kTuner
  };
  virtual Kind kind() const { return Kind::kPlain; }

  // Where this callback saves when a run fails; a fit that is given no checkpoint goes on from
  // there. "" = it does not.
  virtual std::string on_exception_path() const { return {}; }

  virtual void setup(Trainer&, TrainableModule&, std::string_view /*stage*/) {}
  virtual void teardown(Trainer&, TrainableModule&, std::string_view /*stage*/) {}
  virtual void on_fit_start(Trainer&, TrainableModule&) {}
  virtual void on_fit_end(Trainer&, TrainableModule&) {}
  virtual void on_sanity_check_start(Trainer&, TrainableModule&) {}
  virtual void on_sanity_check_end(Trainer&, TrainableModule&) {}
  virtual void on_train_start(Trainer&, TrainableModule&) {}
  virtual void on_train_end(Trainer&, TrainableModule&) {}
  virtual void on_train_epoch_start(Trainer&, TrainableModule&) {}
  virtual void on_train_epoch_end(Trainer&, TrainableModule&) {}
  virtual void on_train_batch_start(Trainer&, TrainableModule&, const Batch&,
                                    std::int64_t /*batch_idx*/) {}
  virtual void on_train_batch_end(Trainer&, TrainableModule&, const StepOutput&, const Batch&,
                                  std::int64_t /*batch_idx*/) {}
  virtual void on_validation_start(Trainer&, TrainableModule&) {}
  virtual void on_validation_end(Trainer&, TrainableModule&) {}
  virtual void on_validation_epoch_start(Trainer&, TrainableModule&) {}
  virtual void on_validation_epoch_end(Trainer&, TrainableModule&) {}
  virtual void on_validation_batch_start(Trainer&, TrainableModule&, const Batch&, std::int64_t,
                                         std::int64_t) {}
  virtual void on_validation_batch_end(Trainer&, TrainableModule&, const StepOutput&, const Batch&,
                                       std::int64_t, std::int64_t) {}
  virtual void on_test_start(Trainer&, TrainableModule&) {}
  virtual void on_test_end(Trainer&, TrainableModule&) {}
  virtual void on_test_epoch_start(Trainer&, TrainableModule&) {}
  virtual void on_test_epoch_end(Trainer&, TrainableModule&) {}
  virtual void on_test_batch_start(Trainer&, TrainableModule&, const Batch&, std::int64_t,
                                   std::int64_t) {}
  virtual void on_test_batch_end(Trainer&, TrainableModule&, const StepOutput&, const Batch&,
                                 std::int64_t, std::int64_t) {}
  virtual void on_predict_start(Trainer&, TrainableModule&) {}
  virtual void on_predict_end(Trainer&, TrainableModule&) {}
  virtual void on_predict_epoch_start(Trainer&, TrainableModule&) {}
  virtual void on_predict_epoch_end(Trainer&, TrainableModule&) {}
  virtual void on_predict_batch_start(Trainer&, TrainableModule&, const Batch&, std::int64_t,
                                      std::int64_t) {}
  virtual void on_predict_batch_end(Trainer&, TrainableModule&, const Batch& /*outputs*/,
                                    const Batch&, std::int64_t, std::int64_t) {}
  virtual void on_before_zero_grad(Trainer&, TrainableModule&, Optimizer&) {}
  virtual void on_before_backward(Trainer&, TrainableModule&, const at::Tensor& /*loss*/) {}
  virtual void on_after_backward(Trainer&, TrainableModule&) {}
  virtual void on_before_optimizer_step(Trainer&, TrainableModule&, Optimizer&) {}
  virtual void on_save_checkpoint(Trainer&, TrainableModule&, checkpoint::Dict& /*checkpoint*/) {}
  virtual void on_load_checkpoint(Trainer&, TrainableModule&, checkpoint::Dict& /*checkpoint*/) {}
  virtual void on_exception(Trainer&, TrainableModule&, const std::exception&) {}
};

}  // namespace lctl
