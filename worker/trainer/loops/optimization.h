// One training step: forward, zero_grad, backward, update, in Lightning's order.
#pragma once

#include <cstdint>

#include "worker/trainer/core/step_output.h"
#include "worker/trainer/loops/loop_context.h"

namespace lctl {

// Automatic optimisation with the one optimizer; manual optimisation calls the step only.
// Allocates nothing of its own per step. Thread rule: one strand only (the training thread).
class Optimization {
 public:
  explicit Optimization(LoopContext& context);

  // `accumulate`: this batch's gradients are only added up. Returns what on_train_batch_end is
  // given: the detached loss divided by the accumulation factor.
  StepOutput run_automatic(const Batch& batch, std::int64_t batch_idx, bool accumulate);
  StepOutput run_manual(const Batch& batch, std::int64_t batch_idx);

  // For manual optimisation: one update with its hooks.
  void manual_step(Optimizer& optimizer, const LossClosure& closure);
  void manual_backward(const at::Tensor& loss);

  // Stochastic weight averaging runs one epoch without backward.
  void set_skip_backward(bool skip) { skip_backward_ = skip; }

 private:
  at::Tensor forward_and_backward();
  void backward(const at::Tensor& loss);
  void before_update();

  LoopContext& context_;
  bool skip_backward_ = false;

  // The batch at hand, for the closures (made once, so that a step builds none).
  const Batch* batch_ = nullptr;
  std::int64_t batch_idx_ = 0;
  bool sync_ = true;
  Optimizer* optimizer_ = nullptr;
  StepOutput output_;
  const LossClosure forward_and_backward_;
  const OptimizerClosure before_update_;
  const OptimizerClosure whole_step_;
};

}  // namespace lctl
