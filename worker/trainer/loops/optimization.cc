#include "worker/trainer/loops/optimization.h"

#include <ATen/core/grad_mode.h>

#include <stdexcept>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"

namespace lctl {

Optimization::Optimization(LoopContext& context)
    : context_(context),
      forward_and_backward_([this] { return forward_and_backward(); }),
      before_update_([this] { before_update(); }),
      whole_step_([this] {
        context_.precision.optimizer_step(*optimizer_, /*automatic=*/true, forward_and_backward_,
                                          before_update_);
      }) {}

at::Tensor Optimization::forward_and_backward() {
  HookCaller& hooks = context_.hooks;
  const at::AutoGradMode enable_grad(true);
  const std::int64_t factor = context_.options.accumulate_grad_batches;

  context_.strategy.before_training_forward(sync_);
  {
    const ForwardScope scope(context_.precision);
    output_ =
        hooks.module(Hook::training_step, &TrainableModule::training_step, *batch_, batch_idx_);
  }
  context_.strategy.after_training_forward(sync_, output_.loss);
  if (!output_.loss.defined()) {
    if (!output_.extra.empty()) {
      throw MisconfigurationException(
          "In automatic_optimization, when `training_step` returns a dict, the 'loss' key needs to "
          "be present");
    }
    if (context_.strategy.is_distributed()) {
      throw std::runtime_error(
          "Skipping the `training_step` by returning None in distributed training is not "
          "supported. It is recommended that "
          "you rewrite your training logic to avoid having to skip the step in the first place.");
    }
    console::warn(
        "`training_step` returned `None`. If this was on purpose, ignore this warning...");
  } else if (factor != 1) {
    output_.loss = output_.loss.div(factor);
  }

  if (!skip_backward_ && batch_idx_ % factor == 0) {
    hooks.both(Hook::on_before_zero_grad, &Callback::on_before_zero_grad,
               &TrainableModule::on_before_zero_grad, *optimizer_);
    auto& progress = context_.progress.fit.optimizer.zero_grad;
    progress.increment_ready();
    progress.increment_started();
    hooks.module(Hook::optimizer_zero_grad, &TrainableModule::optimizer_zero_grad,
                 context_.progress.fit.current_epoch(), batch_idx_, *optimizer_);
    progress.increment_completed();
  }
  if (!skip_backward_ && output_.loss.defined()) {
    const ActionScope action = hooks.profile_strategy(Hook::backward);
    backward(output_.loss);
  }
  return output_.loss;
}

void Optimization::backward(const at::Tensor& loss) {
  HookCaller& hooks = context_.hooks;
  const at::Tensor scaled = context_.precision.pre_backward(loss);
  hooks.both(Hook::on_before_backward, &Callback::on_before_backward,
             &TrainableModule::on_before_backward, scaled);
  hooks.module(Hook::backward, &TrainableModule::backward, scaled);
  hooks.both(Hook::on_after_backward, &Callback::on_after_backward,
             &TrainableModule::on_after_backward);
}

void Optimization::before_update() {
  HookCaller& hooks = context_.hooks;
  hooks.both(Hook::on_before_optimizer_step, &Callback::on_before_optimizer_step,
             &TrainableModule::on_before_optimizer_step, *optimizer_);
  if (!hooks.module().automatic_optimization()) return;
  const TrainerOptions& options = context_.options;
  const auto algorithm =
      options.gradient_clip_algorithm == "value" ? ClipAlgorithm::kValue : ClipAlgorithm::kNorm;
  hooks.module(Hook::configure_gradient_clipping, &TrainableModule::configure_gradient_clipping,
               *optimizer_, options.gradient_clip_val.value_or(0.0), algorithm);
}

StepOutput Optimization::run_automatic(const Batch& batch, std::int64_t batch_idx,
                                       bool accumulate) {
  batch_ = &batch;
  batch_idx_ = batch_idx;
  sync_ = !accumulate;
  output_ = StepOutput();
  optimizer_ = context_.optimizers.optimizers.front().get();
  if (accumulate) {
    forward_and_backward();
  } else {
    auto& step = context_.progress.fit.optimizer.step;
    step.increment_ready();
    context_.hooks.module(Hook::optimizer_step, &TrainableModule::optimizer_step,
                          context_.progress.fit.current_epoch(), batch_idx, *optimizer_,
                          whole_step_);
    step.increment_completed();
  }
  batch_ = nullptr;
  if (output_.loss.defined()) output_.loss = output_.loss.detach();
  return std::move(output_);
}

StepOutput Optimization::run_manual(const Batch& batch, std::int64_t batch_idx) {
  const at::AutoGradMode enable_grad(true);
  sync_ = true;
  context_.strategy.before_training_forward(true);
  StepOutput output;
  {
    const ForwardScope scope(context_.precision);
    output = context_.hooks.module(Hook::training_step, &TrainableModule::training_step, batch,
                                   batch_idx);
  }
  context_.strategy.after_training_forward(false, output.loss);
  if (output.loss.defined()) output.loss = output.loss.detach();
  return output;
}

void Optimization::manual_step(Optimizer& optimizer, const LossClosure& closure) {
  auto& progress = context_.progress.fit.manual_optimizer;
  progress.increment_ready();
  optimizer_ = &optimizer;
  const ActionScope action = context_.hooks.profile("optimizer_step");
  context_.precision.optimizer_step(optimizer, /*automatic=*/false, closure, before_update_);
  progress.increment_completed();
}

void Optimization::manual_backward(const at::Tensor& loss) {
  context_.strategy.after_training_forward(true, loss);
  backward(loss);
}

}  // namespace lctl
