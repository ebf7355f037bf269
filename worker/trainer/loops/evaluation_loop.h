// One run over the validation or test data.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "worker/trainer/loops/data_fetcher.h"
#include "worker/trainer/loops/loop_context.h"

namespace lctl {

// Serves validation inside fit, validate and test; each has an instance of its own.
// Thread rule: one strand only (the training thread).
class EvaluationLoop {
 public:
  // `progress` outlives the loop. verbose: print the table of results at the end.
  EvaluationLoop(LoopContext& context, RunFn fn, BatchProgress& progress, bool verbose,
                 bool inference_mode);

  // Metrics per loader; empty when there is nothing to run.
  std::vector<MetricDict> run();

  // Asks for the loaders unless that has been done.
  void setup_data();
  void forget_data() {
    fetcher_.clear();
    data_ = StageLoaders();
  }

  bool has_run() const { return has_run_; }
  void set_has_run(bool has_run) { has_run_ = has_run; }
  bool loaded() const { return data_.loaded; }
  // Batches per loader; during the sanity check no more than its number of steps.
  std::vector<std::int64_t> max_batches() const;
  std::int64_t total_batches() const { return data_.total(); }
  // Of one validation inside fit and of the sanity check together.
  std::int64_t total_with_sanity_check() const;

  // ---- restart after a checkpoint (Lightning's rules)
  void mark_restarting(bool restarting) { restarting_ = restarting; }
  bool restarting() const { return restarting_; }
  void update_restart_stage();
  bool restarted_mid_evaluation() const { return restarted_mid_evaluation_; }
  void increment_progress_to_evaluation_end();

  // Monotonic time of the end of the last run.
  MonotonicTime last_end() const { return last_end_; }
  void set_last_end(MonotonicTime time) { last_end_ = time; }

  std::int64_t last_reload_epoch = std::numeric_limits<std::int64_t>::min();

  // Eval batches so far per loader: the x-axis of step values. Kept over runs inside fit.
  std::map<std::int64_t, std::int64_t> seen_batches;

  void teardown() { fetcher_.clear(); }

 private:
  Stage stage() const { return fn_ == RunFn::kTest ? Stage::kTest : Stage::kValidate; }
  bool testing() const { return fn_ == RunFn::kTest; }
  void run_batches();
  void reset();
  void on_run_start();
  std::vector<MetricDict> on_run_end();
  void step(FetchedBatch fetched);
  void store_outputs();

  LoopContext& context_;
  const RunFn fn_;
  BatchProgress& progress_;
  const bool verbose_;
  const bool inference_mode_;
  StageLoaders data_;
  DataFetcher fetcher_;
  std::vector<MetricDict> outputs_;
  std::vector<bool> training_flags_;
  bool has_run_ = false;
  bool restarting_ = false;
  bool restarted_mid_evaluation_ = false;
  MonotonicTime last_end_{};
};

}  // namespace lctl
