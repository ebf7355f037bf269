// Saves checkpoints: the best by a metric, the newest, on a schedule.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/connectors/metric_value.h"

namespace lctl {

enum class SaveLast : std::uint8_t { kNo, kYes, kLink };

// Lightning's arguments with its defaults; unset optionals are its None.
struct ModelCheckpointOptions {
  std::optional<std::string> dirpath;
  std::optional<std::string> filename;
  std::optional<std::string> monitor;
  bool verbose = false;
  SaveLast save_last = SaveLast::kNo;
  std::int64_t save_top_k = 1;
  bool save_on_exception = false;
  bool save_weights_only = false;
  std::string mode = "min";
  bool auto_insert_metric_name = true;
  std::optional<std::int64_t> every_n_train_steps;
  std::optional<double> train_time_interval;  // seconds
  std::optional<std::int64_t> every_n_epochs;
  std::optional<bool> save_on_train_epoch_end;
  bool enable_version_counter = true;
};

// The value of a template's name: a metric, or the integers epoch and step.
struct MonitorCandidate {
  std::string name;
  MetricValue value;
  std::optional<std::int64_t> integer;  // set for epoch and step
};
using MonitorCandidates = std::vector<MonitorCandidate>;

// "{epoch}-{val/loss:.2f}" filled in by Lightning's rules (docs/trainer.md, "Checkpoint names"):
// missing names become 0. Throws std::invalid_argument, in Python's words, for a format that the
// value refuses.
std::string format_checkpoint_name(std::string_view filename, const MonitorCandidates& metrics,
                                   bool auto_insert_metric_name);

// The names in a template: "epoch" and "val/loss" of the one above.
std::vector<std::string> template_names(std::string_view filename);

// When and what it saves is Lightning's, to the file name. Files are written by rank 0; decisions
// that depend on the disk are rank 0's on all ranks. Thread rule: one strand only (the training
// thread).
class ModelCheckpoint final : public Callback {
 public:
  using Options = ModelCheckpointOptions;

  // Throws MisconfigurationException in Lightning's words.
  explicit ModelCheckpoint(ModelCheckpointOptions options);

  std::string type_name() const override { return "ModelCheckpoint"; }
  std::string state_key() const override;
  Kind kind() const override { return Kind::kCheckpoint; }
  checkpoint::Dict state_dict() override;
  void load_state_dict(const checkpoint::Dict& state) override;

  void setup(Trainer& trainer, TrainableModule& module, std::string_view stage) override;
  void on_train_start(Trainer& trainer, TrainableModule& module) override;
  void on_train_batch_end(Trainer& trainer, TrainableModule& module, const StepOutput& outputs,
                          const Batch& batch, std::int64_t batch_idx) override;
  void on_train_epoch_end(Trainer& trainer, TrainableModule& module) override;
  void on_validation_end(Trainer& trainer, TrainableModule& module) override;
  void on_train_end(Trainer& trainer, TrainableModule& module) override;
  void on_exception(Trainer& trainer, TrainableModule& module,
                    const std::exception& error) override;

  const ModelCheckpointOptions& options() const { return options_; }
  const std::string& best_model_path() const { return best_model_path_; }
  const std::optional<MetricValue>& best_model_score() const { return best_model_score_; }
  const std::string& last_model_path() const { return last_model_path_; }
  const std::vector<std::pair<std::string, MetricValue>>& best_k_models() const {
    return best_k_models_;
  }

  // Files in its folder that are a "last" checkpoint. Before setup too.
  std::vector<std::string> find_last_checkpoints(const Trainer& trainer) const;

 private:
  std::string resolve_dirpath(const Trainer& trainer) const;
  bool should_skip_saving(const Trainer& trainer) const;
  bool saves_on_train_epoch_end(const Trainer& trainer) const;
  MonitorCandidates monitor_candidates(Trainer& trainer) const;
  bool has_monitor(const MonitorCandidates& candidates) const;
  bool validation_follows(const Trainer& trainer) const;
  void save_at_epoch(Trainer& trainer);
  void save_topk(Trainer& trainer, const MonitorCandidates& candidates);
  void save_without_monitor(Trainer& trainer, const MonitorCandidates& candidates);
  void save_monitored(Trainer& trainer, const MonitorCandidates& candidates,
                      const MetricValue* current);
  void update_best_and_save(Trainer& trainer, const MonitorCandidates& candidates,
                            MetricValue current);
  bool belongs_to_top_k(Trainer& trainer, const MetricValue& current) const;
  void save_last(Trainer& trainer, const MonitorCandidates& candidates);
  void save(Trainer& trainer, const std::string& path, bool is_last);
  void link(Trainer& trainer, const std::string& path, const std::string& link_path) const;
  void remove(Trainer& trainer, const std::string& path) const;
  bool should_remove(const Trainer& trainer, const std::string& previous,
                     const std::string& current) const;
  bool file_exists(Trainer& trainer, const std::string& path) const;
  void warn_of_template(std::string_view filename, const MonitorCandidates& candidates) const;
  void warn_of_old_last(const Trainer& trainer);
  void warn_of_skipped_step(const Trainer& trainer);
  std::string path_for(const MonitorCandidates& candidates, std::string_view filename,
                       std::optional<std::int64_t> version) const;
  std::string unused_path(Trainer& trainer, const MonitorCandidates& candidates,
                          std::string_view filename, std::string_view may_replace) const;
  bool better(double a, double b) const { return options_.mode == "min" ? a < b : a > b; }

  ModelCheckpointOptions options_;
  std::int64_t every_n_train_steps_ = 0;
  std::int64_t every_n_epochs_ = 0;

  std::string dirpath_;
  std::int64_t last_global_step_saved_ = 0;  // nothing to save before the first step
  std::optional<MonotonicTime> last_time_checked_;
  std::string last_checkpoint_saved_;
  bool defer_save_until_validation_ = false;
  bool warned_of_old_last_ = false;
  bool warned_of_skipped_step_ = false;

  std::optional<MetricValue> current_score_;
  std::vector<std::pair<std::string, MetricValue>> best_k_models_;  // in insertion order
  std::string kth_best_model_path_;
  MetricValue kth_value_;
  std::optional<MetricValue> best_model_score_;
  std::string best_model_path_;
  std::string last_model_path_;
};

}  // namespace lctl
