#include "worker/trainer/loops/prediction_loop.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>

#include <optional>

#include "worker/trainer/core/errors.h"

namespace lctl {

std::vector<std::vector<Batch>> PredictionLoop::run() {
  const bool gloo = context_.strategy.is_distributed() && context_.strategy.root_device().is_cpu();
  std::optional<c10::InferenceMode> inference_guard;
  std::optional<at::NoGradGuard> no_grad_guard;
  if (context_.options.inference_mode && !gloo) {
    inference_guard.emplace(true);
  } else {
    no_grad_guard.emplace();
  }
  if (is_zero(context_.options.limit_predict_batches)) return {};
  data_ = context_.data.load_evaluation(Stage::kPredict);
  context_.strategy.barrier();
  if (data_.total() == 0) return {};
  context_.progress.predict.reset_on_run();
  DataFetcher fetcher;
  fetcher.setup(data_.loaders, data_.limits);
  fetcher.start();
  fetcher.profile_as(context_.hooks.profiler(), "[_PredictionLoop].predict_next");
  predictions_.assign(data_.loaders.size(), {});

  HookCaller& hooks = context_.hooks;
  const std::vector<bool> flags = hooks.module().training_flags();
  hooks.module(Hook::on_predict_model_eval, &TrainableModule::on_predict_model_eval);
  hooks.both(Hook::on_predict_start, &Callback::on_predict_start,
             &TrainableModule::on_predict_start);
  hooks.strategy(Hook::on_predict_start);
  hooks.both(Hook::on_predict_epoch_start, &Callback::on_predict_epoch_start,
             &TrainableModule::on_predict_epoch_start);
  FetchedBatch fetched;
  while (fetcher.next(fetched)) {
    step(std::move(fetched));
    if (fetcher.done() && fetcher.length() != kInfiniteBatches) break;
    context_.requests.leave_if_asked();
    fetched = FetchedBatch();
  }
  hooks.both(Hook::on_predict_epoch_end, &Callback::on_predict_epoch_end,
             &TrainableModule::on_predict_epoch_end);
  hooks.both(Hook::on_predict_end, &Callback::on_predict_end, &TrainableModule::on_predict_end);
  hooks.strategy(Hook::on_predict_end);
  if (hooks.module().overrides(Hook::on_predict_model_train)) {
    hooks.module(Hook::on_predict_model_train, &TrainableModule::on_predict_model_train);
  } else {
    hooks.module().set_training_flags(flags);
  }
  return std::move(predictions_);
}

void PredictionLoop::step(FetchedBatch fetched) {
  HookCaller& hooks = context_.hooks;
  const std::int64_t idx = fetched.batch_idx;
  const std::int64_t loader = fetched.dataloader_idx;
  const Batch batch = context_.data.to_device(std::move(fetched.batch), loader);
  auto& progress = context_.progress.predict;
  progress.increment_ready();
  hooks.both(Hook::on_predict_batch_start, &Callback::on_predict_batch_start,
             &TrainableModule::on_predict_batch_start, batch, idx, loader);
  progress.increment_started();
  context_.strategy.before_evaluation_forward();
  Batch output;
  {
    const ForwardScope scope(context_.precision);
    output = hooks.module(Hook::predict_step, &TrainableModule::predict_step, batch, idx, loader);
  }
  progress.increment_processed();
  hooks.both(Hook::on_predict_batch_end, &Callback::on_predict_batch_end,
             &TrainableModule::on_predict_batch_end, output, batch, idx, loader);
  progress.increment_completed();
  predictions_[static_cast<std::size_t>(loader)].push_back(
      output.transformed([](const at::Tensor& tensor) { return tensor.cpu(); }));
}

}  // namespace lctl
