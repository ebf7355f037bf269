#include "worker/trainer/callbacks/run_summary.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "worker/trainer/callbacks/early_stopping.h"
#include "worker/trainer/callbacks/model_checkpoint.h"
#include "worker/trainer/callbacks/tensor_json.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

std::string relative_path(const std::string& path) {
  if (path.empty()) return "";
  const fs::path here = fs::weakly_canonical(fs::current_path());
  return fs::absolute(path).lexically_normal().lexically_relative(here).string();
}

Json stop_reason(Trainer& trainer) {
  if (trainer.state().fn != RunFn::kFit) return nullptr;
  const std::int64_t max_steps = trainer.options().max_steps;
  if (max_steps != -1 && trainer.global_step() >= max_steps) return "max_steps";
  const std::int64_t max_epochs = trainer.max_epochs();
  if (max_epochs != -1 && trainer.progress().fit.epoch.current.processed >= max_epochs)
    return "max_epochs";
  return trainer.should_stop() ? Json("should_stop") : Json(nullptr);
}

Json describe_checkpoint(const ModelCheckpoint& saver) {
  Json item;
  item["best_model_path"] = relative_path(saver.best_model_path());
  item["best_model_score"] =
      saver.best_model_score() ? json_number(saver.best_model_score()->number()) : Json(nullptr);
  item["last_model_path"] = relative_path(saver.last_model_path());
  item["best_k_models"] = Json::object();
  for (const auto& [path, score] : saver.best_k_models())
    item["best_k_models"][relative_path(path)] = json_number(score.number());
  return item;
}

template <typename T>
const T* first_of(const Trainer& trainer) {
  for (const auto& callback : trainer.callbacks()) {
    if (const auto* found = dynamic_cast<const T*>(callback.get())) return found;
  }
  return nullptr;
}

}  // namespace

void RunSummary::on_validation_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&,
                                         const Batch&, std::int64_t, std::int64_t) {
  if (!trainer.sanity_checking()) ++val_batches_;
}

void RunSummary::on_predict_batch_end(Trainer&, TrainableModule&, const Batch& outputs,
                                      const Batch&, std::int64_t, std::int64_t) {
  ++predict_batches_;
  if (outputs.is_tensor()) predictions_.push_back(outputs.tensor().detach().cpu());
}

void RunSummary::teardown(Trainer& trainer, TrainableModule& module, std::string_view stage) {
  Json result;
  result["stage"] = stage;
  result["global_step"] = trainer.global_step();
  result["current_epoch"] = trainer.current_epoch();
  result["batches"] = {{"train", train_batches_},
                       {"val", val_batches_},
                       {"test", test_batches_},
                       {"predict", predict_batches_}};
  result["stop_reason"] = stop_reason(trainer);
  Json metrics = Json::object();
  std::vector<MetricDict::Entry> sorted = trainer.callback_metrics().entries();
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [name, value] : sorted) metrics[name] = json_number(value.number());
  result["callback_metrics"] = std::move(metrics);
  Json rates = Json::array();
  for (const auto& optimizer : trainer.optimizers().optimizers) {
    for (const ParamGroup& group : optimizer->param_groups())
      rates.push_back(json_number(group.lr));
  }
  result["learning_rates"] = std::move(rates);
  const auto* stopper = first_of<EarlyStopping>(trainer);
  result["early_stopping"] =
      stopper == nullptr ? Json(nullptr)
                         : Json{{"stopped_epoch", stopper->stopped_epoch()},
                                {"wait_count", stopper->wait_count()},
                                {"best_score", json_number(stopper->best_score().number())}};
  const auto* saver = first_of<ModelCheckpoint>(trainer);
  result["checkpoint"] = saver == nullptr ? Json(nullptr) : describe_checkpoint(*saver);
  result["state"] = json_of_state(module);
  if (stage == "predict" && !predictions_.empty())
    result["predictions"] = json_of_tensor("predictions", at::cat(predictions_));
  if (!trainer.is_global_zero()) return;
  std::ofstream file(path_);
  file << result.dump(1) << '\n';
  if (!file.flush()) throw std::runtime_error("RunSummary: cannot write " + path_);
}

}  // namespace lctl
