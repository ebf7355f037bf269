#include "worker/trainer/tuner/tuner.h"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <utility>

#include "worker/trainer/trainer/trainer.h"

namespace lctl {

void Tuner::run_with(std::shared_ptr<Callback> finder, TrainableModule& module,
                     LightningDataModule* data) {
  trainer_.callbacks().insert(trainer_.callbacks().begin(), finder);
  trainer_.fit(module, data);
  std::erase(trainer_.callbacks(), finder);
}

std::optional<LrFinder> Tuner::lr_find(TrainableModule& module, LightningDataModule* data,
                                       LrFindOptions options) {
  const auto finder = std::make_shared<LearningRateFinder>(std::move(options));
  run_with(finder, module, data);
  return finder->found();
}

std::optional<std::int64_t> Tuner::scale_batch_size(TrainableModule& module,
                                                    LightningDataModule* data,
                                                    ScaleBatchSizeOptions options) {
  // As in Lightning also where such a strategy has one rank only.
  if (trainer_.world_size() > 1 || trainer_.options().strategy.starts_with("ddp")) {
    throw std::invalid_argument(
        "Tuning the batch size is currently not supported with distributed strategies.");
  }
  const auto finder = std::make_shared<BatchSizeFinder>(std::move(options));
  run_with(finder, module, data);
  return finder->optimal_batch_size();
}

}  // namespace lctl
