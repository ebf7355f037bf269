// A callback made of functions.
#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include "worker/trainer/callbacks/callback.h"

namespace lctl {

// Lightning's LambdaCallback: a function for each hook that matters, none for the others.
//
//   std::make_shared<LambdaCallback>(LambdaCallback::Hooks{
//       .on_train_epoch_end = [](Trainer& trainer, TrainableModule&) { … }});
//
// Source: lightning/pytorch/callbacks/lambda_function.py (2.6.6).
// Thread rule: one strand only (the training thread).
class LambdaCallback final : public Callback {
 public:
  using Plain = std::function<void(Trainer&, TrainableModule&)>;
  using Staged = std::function<void(Trainer&, TrainableModule&, std::string_view stage)>;
  using TrainBatchStart =
      std::function<void(Trainer&, TrainableModule&, const Batch&, std::int64_t batch_idx)>;
  using TrainBatchEnd = std::function<void(Trainer&, TrainableModule&, const StepOutput&,
                                           const Batch&, std::int64_t batch_idx)>;
  using BatchStart = std::function<void(Trainer&, TrainableModule&, const Batch&,
                                        std::int64_t batch_idx, std::int64_t dataloader_idx)>;
  using BatchEnd = std::function<void(Trainer&, TrainableModule&, const StepOutput&, const Batch&,
                                      std::int64_t batch_idx, std::int64_t dataloader_idx)>;
  using PredictBatchEnd =
      std::function<void(Trainer&, TrainableModule&, const Batch& outputs, const Batch&,
                         std::int64_t batch_idx, std::int64_t dataloader_idx)>;
  using WithOptimizer = std::function<void(Trainer&, TrainableModule&, Optimizer&)>;
  using WithLoss = std::function<void(Trainer&, TrainableModule&, const at::Tensor& loss)>;
  using WithCheckpoint = std::function<void(Trainer&, TrainableModule&, checkpoint::Dict&)>;
  using WithException = std::function<void(Trainer&, TrainableModule&, const std::exception&)>;

// X(type, hook, parameters, arguments), in the order of Lightning's arguments.
// clang-format off
#define LCTL_LAMBDA_HOOKS(X) \
  X(Staged, setup, (Trainer& t, TrainableModule& m, std::string_view stage), (t, m, stage)) \
  X(Staged, teardown, (Trainer& t, TrainableModule& m, std::string_view stage), (t, m, stage)) \
  X(Plain, on_fit_start, (Trainer& t, TrainableModule& m), (t, m)) \
  X(Plain, on_fit_end, (Trainer& t, TrainableModule& m), (t, m)) \
  X(Plain, on_sanity_check_start, (Trainer& t, TrainableModule& m), (t, m)) \
  X(Plain, on_sanity_check_end, (Trainer& t, TrainableModule& m), (t, m)) \
  X(TrainBatchStart, on_train_batch_start, (Trainer& t, TrainableModule& m, const Batch& b, std::int64_t i), (t, m, b, i)) \
  X(TrainBatchEnd, on_train_batch_end, (Trainer& t, TrainableModule& m, const StepOutput& o, const Batch& b, std::int64_t i), (t, m, o, b, i)) \
  X(Plain, on_train_epoch_start, (Trainer& t, TrainableModule& m), (t, m)) \
  X(Plain, on_train_epoch_end, (Trainer& t, TrainableModule& m), (t, m)) \
  X(Plain, on_validation_epoch_start, (Trainer& t, TrainableModule& m), (t, m)) \
  X(Plain, on_validation_epoch_end, (Trainer& t, TrainableModule& m), (t, m)) \
  X(Plain, on_test_epoch_start, (Trainer& t, TrainableModule& m), (t, m)) \
  X(Plain, on_test_epoch_end, (Trainer& t, TrainableModule& m), (t, m)) \
  X(BatchStart, on_validation_batch_start, (Trainer& t, TrainableModule& m, const Batch& b, std::int64_t i, std::int64_t d), (t, m, b, i, d)) \
  X(BatchEnd, on_validation_batch_end, (Trainer& t, TrainableModule& m, const StepOutput& o, const Batch& b, std::int64_t i, std::int64_t d), (t, m, o, b, i, d)) \
  X(BatchStart, on_test_batch_start, (Trainer& t, TrainableModule& m, const Batch& b, std::int64_t i, std::int64_t d), (t, m, b, i, d)) \
  X(BatchEnd, on_test_batch_end, (Trainer& t, TrainableModule& m, const StepOutput& o, const Batch& b, std::int64_t i, std::int64_t d), (t, m, o, b, i, d)) \
  X(Plain, on_train_start, (Trainer& t, TrainableModule& m), (t, m)) \
  X(Plain, on_train_end, (Trainer& t, TrainableModule& m), (t, m)) \
  X(Plain, on_validation_start, (Trainer& t, TrainableModule& m), (t, m)) \
  X(Plain, on_validation_end, (Trainer& t, TrainableModule& m), (t, m)) \
  X(Plain, on_test_start, (Trainer& t, TrainableModule& m), (t, m)) \
  X(Plain, on_test_end, (Trainer& t, TrainableModule& m), (t, m)) \
  X(WithException, on_exception, (Trainer& t, TrainableModule& m, const std::exception& e), (t, m, e)) \
  X(WithCheckpoint, on_save_checkpoint, (Trainer& t, TrainableModule& m, checkpoint::Dict& c), (t, m, c)) \
  X(WithCheckpoint, on_load_checkpoint, (Trainer& t, TrainableModule& m, checkpoint::Dict& c), (t, m, c)) \
  X(WithLoss, on_before_backward, (Trainer& t, TrainableModule& m, const at::Tensor& l), (t, m, l)) \
  X(Plain, on_after_backward, (Trainer& t, TrainableModule& m), (t, m)) \
  X(WithOptimizer, on_before_optimizer_step, (Trainer& t, TrainableModule& m, Optimizer& o), (t, m, o)) \
  X(WithOptimizer, on_before_zero_grad, (Trainer& t, TrainableModule& m, Optimizer& o), (t, m, o)) \
  X(Plain, on_predict_start, (Trainer& t, TrainableModule& m), (t, m)) \
  X(Plain, on_predict_end, (Trainer& t, TrainableModule& m), (t, m)) \
  X(BatchStart, on_predict_batch_start, (Trainer& t, TrainableModule& m, const Batch& b, std::int64_t i, std::int64_t d), (t, m, b, i, d)) \
  X(PredictBatchEnd, on_predict_batch_end, (Trainer& t, TrainableModule& m, const Batch& o, const Batch& b, std::int64_t i, std::int64_t d), (t, m, o, b, i, d)) \
  X(Plain, on_predict_epoch_start, (Trainer& t, TrainableModule& m), (t, m)) \
  X(Plain, on_predict_epoch_end, (Trainer& t, TrainableModule& m), (t, m))
  // clang-format on

  struct Hooks {
#define LCTL_LAMBDA_MEMBER(type, hook, parameters, arguments) type hook = nullptr;
    LCTL_LAMBDA_HOOKS(LCTL_LAMBDA_MEMBER)
#undef LCTL_LAMBDA_MEMBER
  };

  explicit LambdaCallback(Hooks hooks) : hooks_(std::move(hooks)) {}

#define LCTL_LAMBDA_CALL(type, hook, parameters, arguments) \
  void hook parameters override {                           \
    if (hooks_.hook) hooks_.hook arguments;                 \
  }
  LCTL_LAMBDA_HOOKS(LCTL_LAMBDA_CALL)
#undef LCTL_LAMBDA_CALL
#undef LCTL_LAMBDA_HOOKS

 private:
  const Hooks hooks_;
};

}  // namespace lctl
