// Tells the outside, through the rank's spool, all that a run has to tell: readiness, metrics,
// progress, checkpoints, its end.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "proto/lctl/v1/event.pb.h"
#include "worker/spool/spool_writer.h"
#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/loggers/logger.h"
#include "worker/trainer/strategies/boundary_agreement.h"

namespace lctl {

// The rank's side of docs/formats/spool.md. Appending never waits for the disk; a spool that cannot
// be written (disk full) throws std::runtime_error that names the file. Thread rule: one strand
// only (the training thread).
class SpoolReporter {
 public:
  struct Options {
    std::filesystem::path spool;  // LCTL_SPOOL
    std::filesystem::path stage;  // LCTL_STAGE; "" = checkpoints are not handed over
    int rank = 0;
    int world_size = 1;
    std::string device;  // "cpu", "cuda:0"
    const Clock* clock = &system_clock();
  };

  explicit SpoolReporter(Options options);
  ~SpoolReporter();

  // Once; later calls do nothing.
  void ready(std::int64_t resumed_at_step);
  void metrics(std::span<const LoggedMetric> metrics, std::int64_t step, std::int64_t epoch);
  void progress(v1::Progress progress);
  void hyperparameters(const checkpoint::Dict& hparams);
  // A file that a ModelCheckpoint writes is linked into the stage folder, so that its removal
  // cannot overtake the upload: by what the first returns, which any thread may call. The second
  // reports it, with the offset that the spool had at the first; they come in the same order.
  std::function<void()> stage_model_checkpoint(const SavedCheckpoint& saved);
  void model_checkpoint(const SavedCheckpoint& saved);
  void model_checkpoint_removed(const std::string& path);
  // Path inside the stage folder for a checkpoint that the orchestrator wants, and the report of
  // it. `offset` is the spool's when the state was captured.
  std::string path_for(BoundaryAction action, std::int64_t global_step) const;
  void orchestrated_checkpoint(BoundaryAction action, const std::string& path,
                               std::int64_t global_step, std::int64_t epoch, std::uint64_t offset);
  void finished(v1::Finished finished);

  void set_device(std::string device, v1::RankEnvironment environment) {
    options_.device = std::move(device);
    environment_ = std::move(environment);
  }
  std::uint64_t offset() const { return writer_->offset(); }
  bool has_stage() const { return !options_.stage.empty(); }
  const Clock& clock() const { return *options_.clock; }
  bool rank_zero() const { return options_.rank == 0; }

 private:
  void append(v1::Event event);
  v1::Event event() const;

  Options options_;
  v1::RankEnvironment environment_;
  std::unique_ptr<spool::SpoolWriter> writer_;
  // A checkpoint that is being written, or never will be: something failed before.
  struct Staged {
    std::string file;  // in the stage folder
    std::uint64_t offset = 0;
    std::atomic<bool> there = false;
  };

  bool ready_ = false;
  std::int64_t linked_ = 0;  // makes names in the stage folder unique
  std::deque<std::shared_ptr<Staged>> staged_;
};

// Metrics and checkpoints on their way to the spool. Rank 0. Thread rule: one strand only.
class SpoolLogger final : public Logger {
 public:
  explicit SpoolLogger(std::shared_ptr<SpoolReporter> reporter) : reporter_(std::move(reporter)) {}

  std::string name() const override { return "spool"; }
  std::variant<std::int64_t, std::string> version() override { return std::string(); }
  std::string save_dir() const override { return ""; }
  std::string log_dir() override { return ""; }
  void log_metrics(std::span<const LoggedMetric> metrics, std::int64_t step) override;
  void log_hyperparams(const checkpoint::Dict& hparams) override {
    reporter_->hyperparameters(hparams);
  }
  std::function<void()> before_save_checkpoint(const SavedCheckpoint& saved) override {
    return reporter_->stage_model_checkpoint(saved);
  }
  void after_save_checkpoint(const SavedCheckpoint& saved) override {
    reporter_->model_checkpoint(saved);
  }
  void after_remove_checkpoint(std::string_view path) override {
    reporter_->model_checkpoint_removed(std::string(path));
  }
  bool is_user_logger() const override { return false; }

  // Epoch of values that come without one (evaluation steps).
  void set_epoch(std::int64_t epoch) { epoch_ = epoch; }

 private:
  std::shared_ptr<SpoolReporter> reporter_;
  std::int64_t epoch_ = 0;
};

// Readiness of every rank, progress of rank 0 (at most ten times a second, and at the end).
// Thread rule: one strand only (the training thread).
class SpoolCallback final : public Callback {
 public:
  SpoolCallback(std::shared_ptr<SpoolReporter> reporter, std::shared_ptr<SpoolLogger> logger)
      : reporter_(std::move(reporter)), logger_(std::move(logger)) {}

  std::string type_name() const override { return "SpoolCallback"; }
  void on_sanity_check_start(Trainer& trainer, TrainableModule&) override {
    began(trainer, "sanity_check");
  }
  void on_train_start(Trainer& trainer, TrainableModule&) override { began(trainer, "train"); }
  void on_train_epoch_start(Trainer& trainer, TrainableModule&) override;
  void on_train_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&, const Batch&,
                          std::int64_t) override;
  void on_train_epoch_end(Trainer& trainer, TrainableModule&) override { report(trainer, "train"); }
  void on_train_end(Trainer& trainer, TrainableModule&) override { report(trainer, "train"); }
  void on_validation_start(Trainer& trainer, TrainableModule&) override {
    began(trainer, "validate");
  }
  void on_test_start(Trainer& trainer, TrainableModule&) override { began(trainer, "test"); }
  void on_predict_start(Trainer& trainer, TrainableModule&) override { began(trainer, "predict"); }

  // A stop or a failure comes between two reports: where the run stands is told once more.
  void teardown(Trainer& trainer, TrainableModule&, std::string_view) override { ended(trainer); }
  void on_exception(Trainer& trainer, TrainableModule&, const std::exception&) override {
    ended(trainer);
  }

  // Of the run that ended last, and of the checkpoint that it came from.
  std::int64_t global_step() const { return global_step_; }
  std::int64_t epoch() const { return epoch_; }
  std::int64_t resumed_at_step() const { return resumed_at_step_; }

 private:
  void began(Trainer& trainer, const char* stage);
  void ended(Trainer& trainer);
  void report(Trainer& trainer, const char* stage, std::optional<std::int64_t> batch = {});
  void send(Trainer& trainer, std::int64_t batch);
  double steps_per_second(MonotonicTime now, std::int64_t step);

  std::shared_ptr<SpoolReporter> reporter_;
  std::shared_ptr<SpoolLogger> logger_;  // null on other ranks
  std::int64_t global_step_ = 0;
  std::int64_t epoch_ = 0;
  std::int64_t resumed_at_step_ = 0;
  MonotonicTime last_report_{};
  const char* stage_ = nullptr;            // of the last report; null = none yet
  std::map<std::string, double> metrics_;  // of the last report
  std::deque<std::pair<MonotonicTime, std::int64_t>> recent_;  // of the last seconds
};

}  // namespace lctl
