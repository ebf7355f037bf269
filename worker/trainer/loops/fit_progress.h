// All counters of a trainer, together: what "loops" in a checkpoint holds.
#pragma once

#include <cstdint>

#include "worker/trainer/checkpoint/value.h"
#include "worker/trainer/loops/progress.h"

namespace lctl {

// The fit loop's counters and the public numbers derived from them.
// Thread rule: one strand only (the training thread).
struct FitProgress {
  EpochProgress epoch;
  BatchProgress batch;
  SchedulerProgress scheduler;
  OptimizerProgress optimizer;  // automatic optimisation
  Progress<ReadyCompleted>
      manual_optimizer;  // manual optimisation: one per step() of any optimizer
  BatchProgress val_batch;
  std::int64_t batches_that_stepped = 0;  // the step that loggers see
  bool automatic_optimization = true;

  std::int64_t current_epoch() const { return epoch.current.completed; }
  std::int64_t global_step() const {
    return automatic_optimization ? optimizer.step.total.completed
                                  : manual_optimizer.total.completed;
  }
  std::int64_t batch_idx() const { return batch.current.ready - 1; }
  std::int64_t total_batch_idx() const { return batch.total.ready - 1; }

  // Lightning's flat dictionary of the fit loop.
  checkpoint::Dict state_dict() const;
  void load_state_dict(const checkpoint::Dict& state);
};

struct TrainerProgress {
  FitProgress fit;
  BatchProgress validate;
  BatchProgress test;
  Progress<AllFour> predict;

  // {"fit_loop": …, "validate_loop": …, "test_loop": …, "predict_loop": …}
  checkpoint::Dict state_dict() const;
};

}  // namespace lctl
