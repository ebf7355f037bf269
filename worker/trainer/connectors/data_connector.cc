#include "worker/trainer/connectors/data_connector.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/random.h"
#include "worker/trainer/loops/data_fetcher.h"
#include "worker/trainer/precision/precision.h"

namespace lctl {
namespace {

std::string_view prefix(Stage stage) {
  switch (stage) {
    case Stage::kTrain:
      return "train";
    case Stage::kTest:
      return "test";
    case Stage::kPredict:
      return "predict";
    default:
      return "val";
  }
}

}  // namespace

std::int64_t StageLoaders::total() const {
  std::int64_t sum = 0;
  for (const std::int64_t limit : limits) {
    if (limit == kInfiniteBatches) return kInfiniteBatches;
    sum += limit;
  }
  return sum;
}

void DataConnector::prepare_data() {
  if (strategy_.layout().local_rank == 0) {
    if (hooks_.data_module() != nullptr)
      hooks_.data_module(Hook::prepare_data, &LightningDataModule::prepare_data);
    hooks_.module(Hook::prepare_data, &TrainableModule::prepare_data);
  }
  strategy_.barrier();
}

bool DataConnector::validation_enabled() const {
  return hooks_.module().overrides(Hook::validation_step) && !is_zero(options_.limit_val_batches);
}

StageLoaders DataConnector::load_train() {
  StageLoaders result;
  result.loaded = true;
  std::shared_ptr<DataLoader> loader =
      hooks_.data_module() != nullptr
          ? hooks_.data_module(Hook::train_dataloader, &LightningDataModule::train_dataloader)
          : hooks_.module(Hook::train_dataloader, &TrainableModule::train_dataloader);
  if (!loader) {
    throw MisconfigurationException(
        "`train_dataloader` must be implemented to be used with the Lightning Trainer");
  }
  loader = fit_to_run(std::move(loader), Stage::kTrain);
  result.limits.push_back(batches(*loader, Stage::kTrain));
  result.loaders.push_back(std::move(loader));
  return result;
}

StageLoaders DataConnector::load_evaluation(Stage stage) {
  StageLoaders result;
  result.loaded = true;
  LightningDataModule* data = hooks_.data_module();
  std::vector<std::shared_ptr<DataLoader>> loaders;
  switch (stage) {
    case Stage::kTest:
      loaders =
          data != nullptr
              ? hooks_.data_module(Hook::test_dataloader, &LightningDataModule::test_dataloader)
              : hooks_.module(Hook::test_dataloader, &TrainableModule::test_dataloader);
      break;
    case Stage::kPredict:
      loaders = data != nullptr
                    ? hooks_.data_module(Hook::predict_dataloader,
                                         &LightningDataModule::predict_dataloader)
                    : hooks_.module(Hook::predict_dataloader, &TrainableModule::predict_dataloader);
      break;
    default:
      loaders = data != nullptr
                    ? hooks_.data_module(Hook::val_dataloader, &LightningDataModule::val_dataloader)
                    : hooks_.module(Hook::val_dataloader, &TrainableModule::val_dataloader);
      break;
  }
  for (auto& loader : loaders) {
    loader = fit_to_run(std::move(loader), stage);
    result.limits.push_back(batches(*loader, stage));
    result.loaders.push_back(std::move(loader));
  }
  return result;
}

std::shared_ptr<DataLoader> DataConnector::fit_to_run(std::shared_ptr<DataLoader> loader,
                                                      Stage stage) {
  const bool training = stage == Stage::kTrain;
  const bool overfit = state_.fn == RunFn::kFit && !is_zero(options_.overfit_batches);
  if (overfit && loader->shuffles()) {
    console::warn(fmt::format(
        "You requested to overfit but enabled {0} dataloader shuffling. We are turning off the {0} "
        "dataloader shuffling for you.",
        prefix(stage)));
    loader = loader->with_sequential_sampler();
  }
  if (stage == Stage::kPredict) loader = loader->for_prediction();
  if (strategy_.is_distributed() && options_.use_distributed_sampler &&
      !loader->has_distributed_sampler()) {
    const bool shuffle = training ? !overfit : loader->shuffles();
    if (shuffle && !loader->shuffles()) {
      console::warn(
          "The `train_dataloader` does not shuffle, but with several ranks it does: as in "
          "Lightning, its sampler is replaced by a `DistributedSampler(shuffle=True)`. Set "
          "use_distributed_sampler: false to shard the data yourself in a fixed order.");
    }
    const RankLayout& layout = strategy_.layout();
    loader = loader->with_distributed_sampler(layout.world_size, layout.global_rank, shuffle,
                                              static_cast<std::uint64_t>(global_seed().value_or(0)),
                                              /*pad=*/stage != Stage::kPredict);
    if (state_.fn == RunFn::kValidate || state_.fn == RunFn::kTest) {
      console::warn(
          fmt::format("Using `DistributedSampler` with the dataloaders. During `trainer.{}()`, it "
                      "is recommended to use "
                      "`Trainer(devices=1, num_nodes=1)` to ensure each sample/batch gets "
                      "evaluated exactly once.",
                      fn_name(state_.fn)));
    }
  }
  if (!training && loader->shuffles()) {
    console::warn(
        fmt::format("Your `{}_dataloader`'s sampler has shuffling enabled, it is strongly "
                    "recommended that you turn "
                    "shuffling off for val/test dataloaders.",
                    prefix(stage)));
  }
  return loader;
}

std::int64_t DataConnector::batches(const DataLoader& loader, Stage stage) const {
  const Limit& limit = stage == Stage::kTrain     ? options_.limit_train_batches
                       : stage == Stage::kTest    ? options_.limit_test_batches
                       : stage == Stage::kPredict ? options_.limit_predict_batches
                                                  : options_.limit_val_batches;
  const std::string_view name = prefix(stage);
  const std::optional<std::int64_t> length = loader.size();
  if (length == 0) {
    console::warn(
        "Total length of `DataLoader` across ranks is zero. Please make sure this was your "
        "intention.");
  }
  if (const auto* count = std::get_if<std::int64_t>(&limit))
    return std::min(length.value_or(*count), *count);
  const double fraction = std::get<double>(limit);
  if (!length) {
    if (fraction == 1.0) return kInfiniteBatches;
    throw MisconfigurationException(fmt::format(
        "When using an `IterableDataset`, `Trainer(limit_{0}_batches)` must be `1.0` or "
        "an int. An int specifies `num_{0}_batches` to use.",
        name));
  }
  const auto wanted = static_cast<std::int64_t>(static_cast<double>(*length) * fraction);
  if (wanted == 0 && fraction > 0.0 && *length > 0) {
    throw MisconfigurationException(
        fmt::format("You requested to check {0} of the `{1}_dataloader` but {0} * {2} < 1. Please "
                    "increase the `limit_{1}_batches` argument. "
                    "Try at least `limit_{1}_batches={3}`",
                    fraction, name, *length, 1.0 / static_cast<double>(*length)));
  }
  return wanted;
}

Batch DataConnector::to_device(Batch batch, std::int64_t dataloader_idx) {
  TrainableModule& module = hooks_.module();
  batch = precision_.convert_input(std::move(batch));
  batch = module.on_before_batch_transfer(std::move(batch), dataloader_idx);
  batch =
      module.transfer_batch_to_device(std::move(batch), strategy_.root_device(), dataloader_idx);
  return module.on_after_batch_transfer(std::move(batch), dataloader_idx);
}

}  // namespace lctl
