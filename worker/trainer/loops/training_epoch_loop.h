// The batches of one training epoch.
#pragma once

#include <cstdint>

#include "worker/trainer/loops/evaluation_loop.h"
#include "worker/trainer/loops/loop_context.h"
#include "worker/trainer/loops/optimization.h"

namespace lctl {

// What the epoch loop must know of the fit loop around it.
struct EpochLimits {
  std::int64_t num_training_batches = kInfiniteBatches;
  std::int64_t val_check_batch =
      kInfiniteBatches;  // kInfiniteBatches: at the end of a loader without length
  std::int64_t min_epochs = 0;
  std::int64_t max_epochs = -1;
};

// Thread rule: one strand only (the training thread).
class TrainingEpochLoop {
 public:
  TrainingEpochLoop(LoopContext& context, EpochLimits& limits, EvaluationLoop& val_loop)
      : context_(context), limits_(limits), val_loop_(val_loop), optimization_(context) {}

  void run(DataFetcher& fetcher);

  bool should_accumulate() const;
  bool num_ready_batches_reached() const;
  bool can_stop_early() const;
  bool should_check_val_epoch() const;
  void update_lr_schedulers(bool epoch_interval, bool plateau);
  Optimization& optimization() { return optimization_; }

  // ---- restart after a checkpoint (Lightning's rules)
  enum class RestartStage { kNone, kOnTrainBatchEnd, kOnLast };
  void mark_restarting(bool restarting) {
    restarting_ = restarting;
    val_loop_.mark_restarting(restarting);
  }
  void update_restart_stage();
  bool restarted_on_train_batch_end() const { return stage_ == RestartStage::kOnTrainBatchEnd; }
  // The fit loop continues from a checkpoint: its loader's iterator is already the right one.
  void set_resuming(bool resuming) { resuming_ = resuming; }

  // ---- exact resume: what of the current batch is still to be done before the next one.
  void continue_from(TrainingPosition position) { continue_from_ = position; }

 private:
  bool done();
  bool is_training_done() const;
  void reset(DataFetcher& fetcher);
  bool advance(DataFetcher& fetcher);
  void after_batch_hooks();
  void on_advance_end();
  void run_validation();
  void after_validation();
  bool should_check_val();
  void finish_interrupted_batch();
  bool train_batch(const Batch& batch);

  LoopContext& context_;
  EpochLimits& limits_;
  EvaluationLoop& val_loop_;
  Optimization optimization_;
  bool restarting_ = false;
  bool resuming_ = false;
  bool skip_next_val_ = false;
  RestartStage stage_ = RestartStage::kNone;
  TrainingPosition continue_from_ = TrainingPosition::kElsewhere;
};

}  // namespace lctl
