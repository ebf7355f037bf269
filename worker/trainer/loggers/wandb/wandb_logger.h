// Lightning's WandbLogger: runs of Weights & Biases, written for `wandb sync`.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "worker/trainer/loggers/logger.h"
#include "worker/trainer/loggers/logger_with_callbacks.h"
#include "worker/trainer/loggers/wandb/artifact.h"
#include "worker/trainer/loggers/wandb/run.h"
#include "worker/trainer/loggers/wandb/watch.h"

namespace lctl {

// `log_model` as in Python: false, true, or "all".
class LogModel {
 public:
  LogModel(bool on = false) : on_(on) {}  // NOLINT: .log_model = true
  // Throws MisconfigurationException for other texts than "all".
  LogModel(const char* text);  // NOLINT: .log_model = "all"

  bool at_end() const { return on_ && !all_; }  // the checkpoints that are left then
  bool all() const { return all_; }             // each when it is saved
  explicit operator bool() const { return on_; }
  std::string python_text() const { return all_ ? "all" : on_ ? "True" : "False"; }

 private:
  bool on_ = false;
  bool all_ = false;
};

// One row per log call, with `trainer/global_step` as the x axis of everything; hyper-parameters
// are the run's config. Nothing is uploaded: the run lies in <save_dir>/wandb, whatever `offline`
// says. The run begins at the first start() and goes on through all fits and tests of the process;
// it ends with the logger. Without an id it has the id of lctl's job, so that the job's next
// attempt goes on with the same run in a folder of its own; else a new one. Arguments that are
// not given come from WANDB_PROJECT, WANDB_DIR and their like (docs/formats/wandb.md), and with
// WANDB_MODE=disabled nothing is written. Source: lightning/pytorch/loggers/wandb.py (2.6.6).
// Thread rule: one strand only (the training thread), but for what before_save_checkpoint()
// returns.
class WandbLogger final : public Logger, public LoggerWithCallbacks {
 public:
  struct Options {
    std::optional<std::string> name;  // of the run; W&B makes one up
    std::string save_dir = ".";       // "": WANDB_DIR, else "."
    std::optional<std::string> version;
    bool offline = false;  // excludes log_model
    std::optional<std::string> id;
    std::optional<std::string> project;
    LogModel log_model;  // checkpoints as artifacts "model-<id>", aliases "latest" and "best"
    std::string prefix;  // "p" makes "p-train/loss"
    std::optional<std::string> checkpoint_name;
    std::string add_file_policy = "mutable";  // "immutable": artifacts name the checkpoint itself
    std::optional<std::string> entity;
    std::optional<std::string> group;
    std::optional<std::string> job_type;
    std::vector<std::string> tags;
    std::optional<std::string> notes;
    const Clock* clock = &system_clock();
  };

  // Throws MisconfigurationException in Lightning's words, std::invalid_argument for names that
  // W&B refuses.
  explicit WandbLogger(Options options);
  ~WandbLogger() override;

  // Before a fit: histograms and the graph of that module (the one that the trainer gets), once.
  // `module` outlives the logger's runs.
  void watch(const TrainableModule& module, std::optional<std::string> log = "gradients",
             std::int64_t log_freq = 100, bool log_graph = true);
  // The same of whatever module the trainer gets.
  void watch_trained_module(wandb::WatchOptions options);

  std::string name() const override { return settings_.project; }
  std::variant<std::int64_t, std::string> version() override { return settings_.id; }
  std::string save_dir() const override { return settings_.root; }
  std::string log_dir() override { return {}; }

  // For histograms and files of one's own. Null where nothing is written.
  wandb::Run* experiment();

  void start() override;
  void log_metrics(std::span<const LoggedMetric> metrics, std::int64_t step) override;
  void log_hyperparams(const checkpoint::Dict& hparams) override;
  std::function<void()> before_save_checkpoint(const SavedCheckpoint& saved) override;
  void after_save_checkpoint(const SavedCheckpoint& saved) override;
  void after_remove_checkpoint(std::string_view path) override;
  void save() override;
  void finalize(std::string_view status) override;
  std::vector<std::shared_ptr<Callback>> callbacks() override;

 private:
  class TrainerFinder;
  struct SavedModel;

  void add_watch(const TrainableModule* module, wandb::WatchOptions options);
  static wandb::StagedFile staged(const std::string& path, const std::string& copy);
  std::string next_copy();
  void log_model(const SavedModel& model, const wandb::StagedFile& file);

  const Options options_;
  const wandb::RunSettings settings_;
  const bool disabled_;
  std::unique_ptr<wandb::Run> run_;
  int exit_code_ = 1;
  std::shared_ptr<wandb::Watch> watch_;            // null: nothing is watched
  std::shared_ptr<TrainerFinder> trainer_;         // null: no checkpoint is logged
  std::list<std::shared_ptr<SavedModel>> saving_;  // in the order of their saving
  std::list<std::shared_ptr<SavedModel>> kept_;    // to be logged at the end, oldest first
  int copies_ = 0;
  std::vector<LoggedMetric> row_;    // kept for its memory
  std::list<std::string> prefixed_;  // names of that row
};

}  // namespace lctl
