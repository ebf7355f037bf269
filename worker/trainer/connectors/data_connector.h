// Gets the loaders from the data module (or the module) and makes them fit the run.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "worker/trainer/data/batch.h"
#include "worker/trainer/data/data_loader.h"
#include "worker/trainer/strategies/strategy.h"
#include "worker/trainer/trainer/hook_caller.h"
#include "worker/trainer/trainer/options.h"
#include "worker/trainer/trainer/run_state.h"

namespace lctl {

class Accelerator;
class CopyStream;
class Precision;

// A stage's loaders with the number of batches that each will give.
struct StageLoaders {
  std::vector<std::shared_ptr<DataLoader>> loaders;
  std::vector<std::int64_t> limits;  // kInfiniteBatches = until it ends
  bool loaded = false;               // asked for, even if there are none
  std::int64_t total() const;        // kInfiniteBatches when one is infinite
};

// Thread rule: one strand only (the training thread).
class DataConnector {
 public:
  // All must outlive it.
  DataConnector(const TrainerOptions& options, const RunState& state, HookCaller& hooks,
                Strategy& strategy, Precision& precision, Accelerator& accelerator);
  ~DataConnector();

  // prepare_data of the data module, then of the module; on local rank 0.
  void prepare_data();

  // Throws MisconfigurationException when there is no train loader or a limit cannot be met.
  StageLoaders load_train();
  // stage: kValidate (also for the sanity check), kTest or kPredict.
  StageLoaders load_evaluation(Stage stage);

  // Whether validation is possible inside fit, without asking for the loader yet.
  bool validation_enabled() const;
  // Whether the data module, or else the module, defines one.
  bool has_val_dataloader() const;

  // How the training loader is doing; empty before there is one that measures.
  std::optional<LoadingStats> training_stats() const;

  // Precision, transfer hooks, device. Pinned batches are copied beside what the device computes.
  Batch to_device(Batch batch, std::int64_t dataloader_idx);

 private:
  void add(StageLoaders& loaders, std::shared_ptr<DataLoader> loader, Stage stage);
  std::shared_ptr<DataLoader> fit_to_run(std::shared_ptr<DataLoader> loader, Stage stage);
  template <typename Owner>
  Batch profiled_transfer(Owner& owner, Batch batch, std::int64_t dataloader_idx);
  std::shared_ptr<DataLoader> distribute(std::shared_ptr<DataLoader> loader, Stage stage,
                                         bool shuffle);
  // Where batches go, and who else is on this machine.
  void settle(DataLoader& loader);
  std::optional<std::int64_t> length_agreed(const DataLoader& loader, Stage stage);
  std::int64_t batches(const DataLoader& loader, Stage stage);
  bool transfer_is_ours() const;

  const TrainerOptions& options_;
  const RunState& state_;
  HookCaller& hooks_;
  Strategy& strategy_;
  Precision& precision_;
  Accelerator& accelerator_;
  std::shared_ptr<DataLoader> training_;  // the newest; null before there is one
  std::unique_ptr<CopyStream> copies_;    // null unless batches are pinned for a device
};

}  // namespace lctl
