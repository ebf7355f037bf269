// The epochs of a fit.
#pragma once

#include <cstdint>
#include <optional>

#include "worker/trainer/checkpoint/value.h"
#include "worker/trainer/core/random.h"
#include "worker/trainer/loops/evaluation_loop.h"
#include "worker/trainer/loops/loop_context.h"
#include "worker/trainer/loops/training_epoch_loop.h"

namespace lctl {

// Lightning's fit loop, with its rules for going on from a checkpoint, and lctl's own exact resume
// on top: restore_exact() puts generators, iterator and logged results back to where they were.
// Thread rule: one strand only (the training thread).
class FitLoop {
 public:
  explicit FitLoop(LoopContext& context);

  void run();

  EvaluationLoop& val_loop() { return val_loop_; }
  TrainingEpochLoop& epoch_loop() { return epoch_loop_; }
  EpochLimits& limits() { return limits_; }
  const EpochLimits& limits() const { return limits_; }

  // Asks for the train loader (for estimates before training starts).
  void setup_data();
  bool data_loaded() const { return data_.loaded; }

  // The next use of loaders asks for new ones.
  void forget_data();
  // Samples that the train loaders draw from; none when one does not know.
  std::optional<std::int64_t> dataset_length() const;

  // Sets the counters for a run from there, as a tuner does. Where steps are limited the first
  // epoch counts as a restart, which is Lightning's way: plateau schedulers miss its end.
  void load_counters(const checkpoint::Dict& state);
  // The next run is no restart.
  void forget_restart();

  // Counters have been loaded from a checkpoint: continue by Lightning's rules.
  void mark_loaded();
  bool sanity_check_wanted() const { return !val_loop_.restarting() && !exact_; }

  // In on_train_start: whether an exact resume goes on inside an epoch, so that
  // on_train_epoch_start will not be called for it.
  bool continues_inside_epoch() const;

  // ---- exact resume. The state is this rank's; see docs/trainer.md, "Exact resume".
  // The position is RunState's; kElsewhere gives a state that restore_exact() must not be given.
  checkpoint::Dict exact_state() const;
  // Before run(). `state` is what exact_state() gave, possibly on another number of ranks: then
  // `scale` = old world size / new world size is applied to the position in the loader.
  void restore_exact(checkpoint::Dict state, double scale);

  void teardown();

 private:
  enum class RestartStage { kNone, kOnEpochStart, kMidEpoch, kOnEpochEnd, kResumedOnEpochEnd };

  void set_loaded(bool restarting);
  bool done();
  bool finished() const;
  bool should_reload() const;
  void update_restart_stage();
  void reset();
  void on_run_start();
  void on_advance_start();
  void advance();
  void on_advance_end();
  void finish_epoch();
  void on_run_end();
  void apply_exact_state();
  std::optional<std::int64_t> global_batch() const;
  void set_val_check_batch();

  LoopContext& context_;
  EpochLimits limits_;
  EvaluationLoop val_loop_;
  TrainingEpochLoop epoch_loop_;
  StageLoaders data_;
  DataFetcher fetcher_;
  std::int64_t last_reload_epoch_ = std::numeric_limits<std::int64_t>::min();

  bool restarting_ = false;
  bool loaded_ = false;
  bool resuming_ = false;
  RestartStage stage_ = RestartStage::kNone;

  std::optional<checkpoint::Dict> exact_;
  double exact_scale_ = 1.0;
  TrainingPosition continue_from_ = TrainingPosition::kElsewhere;
};

}  // namespace lctl
