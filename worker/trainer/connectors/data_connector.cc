#include "worker/trainer/connectors/data_connector.h"

#include <ATen/ops/full.h>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "worker/trainer/accelerators/accelerator.h"
#include "worker/trainer/connectors/batch_transfer.h"
#include "worker/trainer/connectors/distributed_run.h"
#include "worker/trainer/connectors/loader_guidance.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/random.h"
#include "worker/trainer/core/signals.h"
#include "worker/trainer/data/combined_loader.h"
#include "worker/trainer/data/loading/loader_workers.h"
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

DataConnector::DataConnector(const TrainerOptions& options, const RunState& state,
                             HookCaller& hooks, Strategy& strategy, Precision& precision,
                             Accelerator& accelerator)
    : options_(options),
      state_(state),
      hooks_(hooks),
      strategy_(strategy),
      precision_(precision),
      accelerator_(accelerator) {}

DataConnector::~DataConnector() = default;

std::int64_t StageLoaders::total() const {
  std::int64_t sum = 0;
  for (const std::int64_t limit : limits) {
    if (limit == kInfiniteBatches) return kInfiniteBatches;
    sum += limit;
  }
  return sum;
}

void DataConnector::prepare_data() {
  const auto mine = [this](bool per_node) {
    return (per_node ? strategy_.layout().local_rank : strategy_.layout().global_rank) == 0;
  };
  LightningDataModule* data = hooks_.data_module();
  if (data != nullptr && mine(data->prepare_data_per_node))
    hooks_.data_module(Hook::prepare_data, &LightningDataModule::prepare_data);
  if (mine(hooks_.module().prepare_data_per_node))
    hooks_.module(Hook::prepare_data, &TrainableModule::prepare_data);
  try {
    strategy_.barrier();
  } catch (const std::exception&) {
    // A rank that was to end while it prepared is not here.
    if (signals::ends_run()) signals::throw_received();
    throw;
  }
}

bool DataConnector::has_val_dataloader() const {
  const LightningDataModule* data = hooks_.data_module();
  return data != nullptr ? data->overrides(Hook::val_dataloader)
                         : hooks_.module().overrides(Hook::val_dataloader);
}

bool DataConnector::validation_enabled() const {
  return has_val_dataloader() && hooks_.module().overrides(Hook::validation_step) &&
         !is_zero(options_.limit_val_batches);
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
  add(result, std::move(loader), Stage::kTrain);
  training_ = result.loaders.front();
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
  for (auto& loader : loaders) add(result, std::move(loader), stage);
  return result;
}

void DataConnector::add(StageLoaders& loaders, std::shared_ptr<DataLoader> loader, Stage stage) {
  const auto* combined = dynamic_cast<const CombinedLoader*>(loader.get());
  if (combined == nullptr) {
    loader = fit_to_run(std::move(loader), stage);
    loaders.limits.push_back(batches(*loader, stage));
    loaders.loaders.push_back(std::move(loader));
    return;
  }
  const bool sequential = combined->mode() == CombinedLoader::Mode::kSequential;
  if (stage == Stage::kTrain && sequential) {
    throw std::invalid_argument(
        "`_FitLoop` does not support the `CombinedLoader(mode=\"sequential\")` mode. The available "
        "modes are: ['min_size', 'max_size_cycle', 'max_size']");
  }
  if (stage == Stage::kPredict && !sequential) {
    throw std::invalid_argument(
        "`trainer.predict()` only supports the `CombinedLoader(mode=\"sequential\")` mode.");
  }
  CombinedLoader::Parts parts;
  CombinedLoader::Limits limits;
  for (const auto& part : combined->parts()) {
    parts.push_back(fit_to_run(part, stage));
    const std::int64_t limit = batches(*parts.back(), stage);
    limits.push_back(limit == kInfiniteBatches ? std::nullopt : std::optional(limit));
  }
  loaders.loaders.push_back(combined->with_parts(std::move(parts), std::move(limits)));
  loaders.limits.push_back(loaders.loaders.back()->size().value_or(kInfiniteBatches));
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
  if (!training && loader->shuffles()) {
    console::warn(
        fmt::format("Your `{}_dataloader`'s sampler has shuffling enabled, it is strongly "
                    "recommended that you turn "
                    "shuffling off for val/test dataloaders.",
                    prefix(stage)));
  }
  if (is_distributed_run(strategy_, options_) && options_.use_distributed_sampler &&
      !loader->has_distributed_sampler()) {
    loader = distribute(std::move(loader), stage, training ? !overfit : loader->shuffles());
  }
  settle(*loader);
  LoaderFacts facts;
  facts.training = training;
  facts.name = prefix(stage);
  facts.on_device = !strategy_.root_device().is_cpu();
  facts.overfit = overfit;
  facts.local_world_size = std::max(1, strategy_.layout().local_world_size);
  give_loader_guidance(*loader, facts);
  return loader;
}

void DataConnector::settle(DataLoader& loader) {
  const c10::Device device = strategy_.root_device();
  LoaderSurroundings surroundings;
  surroundings.rank = strategy_.layout().global_rank;
  surroundings.world_size = strategy_.layout().world_size;
  surroundings.local_world_size = std::max(1, strategy_.layout().local_world_size);
  if (!device.is_cpu()) {
    surroundings.pinned_memory = [this](at::IntArrayRef sizes, at::ScalarType dtype) {
      return accelerator_.empty_pinned(sizes, dtype);
    };
    const PrefetchOptions* prefetching = loader.prefetching();
    if (copies_ == nullptr && prefetching != nullptr && prefetching->pin_memory)
      copies_ = accelerator_.copy_stream(device);
  }
  loader.fit_to(surroundings);
}

std::optional<LoadingStats> DataConnector::training_stats() const {
  return training_ != nullptr ? training_->stats() : std::nullopt;
}

std::shared_ptr<DataLoader> DataConnector::distribute(std::shared_ptr<DataLoader> loader,
                                                      Stage stage, bool shuffle) {
  if (shuffle && !loader->shuffles()) {
    console::warn(
        "The `train_dataloader` does not shuffle, but a distributed run does: as in "
        "Lightning, its sampler is replaced by a `DistributedSampler(shuffle=True)`. Set "
        "use_distributed_sampler: false to shard the data yourself in a fixed order.");
  }
  if (state_.fn == RunFn::kValidate || state_.fn == RunFn::kTest) {
    console::warn(fmt::format(
        "Using `DistributedSampler` with the dataloaders. During `trainer.{}()`, it is recommended "
        "to use `Trainer(devices=1, num_nodes=1)` to ensure each sample/batch gets evaluated "
        "exactly once. Otherwise, multi-device settings use `DistributedSampler` that replicates "
        "some samples to make sure all devices have same batch size in case of uneven inputs.",
        fn_name(state_.fn)));
  }
  const RankLayout& layout = strategy_.layout();
  return loader->with_distributed_sampler(layout.world_size, layout.global_rank, shuffle,
                                          static_cast<std::uint64_t>(global_seed().value_or(0)),
                                          /*pad=*/stage != Stage::kPredict);
}

// Lightning's has_len_all_ranks; and where ranks would take different numbers of batches, all train
// on as many as the one with the fewest: the others would wait for it for ever.
std::optional<std::int64_t> DataConnector::length_agreed(const DataLoader& loader, Stage stage) {
  const std::optional<std::int64_t> own = loader.size();
  if (!own) return std::nullopt;
  std::int64_t total = *own;
  std::int64_t fewest = *own;
  if (strategy_.is_distributed()) {
    const at::Tensor length = at::full({}, *own, at::TensorOptions(at::kLong));
    total = strategy_.reduce(length, Reduction::kSum).item().toLong();
    if (stage == Stage::kTrain) fewest = strategy_.reduce(length, Reduction::kMin).item().toLong();
    if (fewest != *own) warn_of_uneven_shards(*own, fewest);
  }
  if (total == 0) {
    console::warn(
        "Total length of `DataLoader` across ranks is zero. Please make sure this was your "
        "intention.");
  } else if (*own == 0) {
    throw std::runtime_error(
        "`DataLoader` within local rank has zero length. Please make sure that it returns at least "
        "1 batch.");
  }
  return fewest;
}

std::int64_t DataConnector::batches(const DataLoader& loader, Stage stage) {
  const Limit& limit = stage == Stage::kTrain     ? options_.limit_train_batches
                       : stage == Stage::kTest    ? options_.limit_test_batches
                       : stage == Stage::kPredict ? options_.limit_predict_batches
                                                  : options_.limit_val_batches;
  const std::string_view name = prefix(stage);
  const std::optional<std::int64_t> length = length_agreed(loader, stage);
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

// The same with a profiler: each hook is an action of the one whose it is.
template <typename Owner>
Batch DataConnector::profiled_transfer(Owner& owner, Batch batch, std::int64_t dataloader_idx) {
  const auto action = [this](Hook hook) {
    const LightningDataModule* data = hooks_.data_module();
    return data != nullptr && data->overrides(hook) ? hooks_.profile_data_module(hook)
                                                    : hooks_.profile_module(hook);
  };
  {
    const ActionScope before = action(Hook::on_before_batch_transfer);
    batch = owner.on_before_batch_transfer(std::move(batch), dataloader_idx);
  }
  const ActionScope whole = hooks_.profile_batch_to_device();
  {
    const ActionScope transfer = action(Hook::transfer_batch_to_device);
    batch =
        owner.transfer_batch_to_device(std::move(batch), strategy_.root_device(), dataloader_idx);
  }
  const ActionScope after = action(Hook::on_after_batch_transfer);
  return owner.on_after_batch_transfer(std::move(batch), dataloader_idx);
}

// Hooks of users may compute: that belongs on training's own stream.
bool DataConnector::transfer_is_ours() const {
  const LightningDataModule* data = hooks_.data_module();
  for (const Hook hook : {Hook::on_before_batch_transfer, Hook::transfer_batch_to_device,
                          Hook::on_after_batch_transfer}) {
    if (hooks_.module().overrides(hook) || (data != nullptr && data->overrides(hook))) return false;
  }
  return true;
}

Batch DataConnector::to_device(Batch batch, std::int64_t dataloader_idx) {
  LightningDataModule* data = hooks_.data_module();
  if (hooks_.profiler() == nullptr) [[likely]] {
    const bool beside = copies_ != nullptr && transfer_is_ours();
    if (beside) copies_->begin();
    batch = transferred(std::move(batch), dataloader_idx, precision_, data, hooks_.module(),
                        strategy_.root_device());
    if (beside) {
      copies_->end();
      copies_->join();
      batch.visit([this](const at::Tensor& tensor) { copies_->hand_over(tensor); });
    }
    return batch;
  }
  batch = precision_.convert_input(std::move(batch));
  return data != nullptr ? profiled_transfer(*data, std::move(batch), dataloader_idx)
                         : profiled_transfer(hooks_.module(), std::move(batch), dataloader_idx);
}

Batch transferred(Batch batch, std::int64_t dataloader_idx, Precision& precision,
                  LightningDataModule* data, TrainableModule& module, c10::Device device) {
  const auto transfer = [&](auto& owner) {
    batch = owner.on_before_batch_transfer(std::move(batch), dataloader_idx);
    batch = owner.transfer_batch_to_device(std::move(batch), device, dataloader_idx);
    return owner.on_after_batch_transfer(std::move(batch), dataloader_idx);
  };
  batch = precision.convert_input(std::move(batch));
  // What a data module does not replace it hands on to the module.
  return data != nullptr ? transfer(*data) : transfer(module);
}

}  // namespace lctl
