// Lightning's TensorBoardLogger: event files and hparams.yaml in a versioned folder.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "worker/trainer/loggers/graph_logger.h"
#include "worker/trainer/loggers/logger.h"
#include "worker/trainer/loggers/tensorboard_writer.h"

namespace lctl {

// One event per metric in the order of the log call, `epoch` last; before them, when the model has
// hyper-parameters, `hp_metric` and the three records of the hparams plugin. hparams.yaml is
// written at the first save, even when empty ("{}"), and never replaced. After finalize the next
// run of the same process opens a new event file in the same folder. Source:
// lightning/pytorch/loggers/tensorboard.py and lightning/fabric/loggers/tensorboard.py (2.6.6).
// Layout: docs/formats/tensorboard.md. Thread rule: one strand only (the training thread).
class TensorBoardLogger final : public Logger, public GraphLogger {
 public:
  struct Options {
    std::string save_dir;
    std::string name = "lightning_logs";  // "" drops the directory level
    std::variant<std::monostate, std::int64_t, std::string>
        version;  // unset: one more than the highest there
    bool log_graph = false;
    bool default_hp_metric = true;  // hp_metric = -1 stands for a result that is not known yet
    std::string prefix;             // "p" makes "p-train/loss"
    std::string sub_dir;            // below the version; "$NAME" and "~" are understood
    SummaryWriter::Options writer;  // without log_dir, which is the logger's
  };

  explicit TensorBoardLogger(Options options);
  ~TensorBoardLogger() override;

  std::string name() const override { return options_.name; }
  std::variant<std::int64_t, std::string> version() override;
  std::string save_dir() const override { return options_.save_dir; }
  std::string log_dir() override;

  // For images, histograms, texts and whatever else TensorBoard shows. Made by the first call, and
  // by start(). Rank 0 only.
  SummaryWriter& experiment();

  void start() override;
  void log_metrics(std::span<const LoggedMetric> metrics, std::int64_t step) override;
  void log_hyperparams(const checkpoint::Dict& hparams) override;
  // With log_graph and an example_input_array; else, or for an example that is no tensor and no
  // list of tensors, a warning.
  void log_graph(TrainableModule& module) override;
  void save() override;
  void finalize(std::string_view status) override;

 private:
  std::string_view tag(std::string_view metric);

  const Options options_;
  std::optional<std::variant<std::int64_t, std::string>> version_;
  std::unique_ptr<SummaryWriter> experiment_;
  checkpoint::Dict hparams_;
  bool hparams_file_exists_ = false;
  std::string tag_;  // kept for its memory
};

}  // namespace lctl
