#include "worker/trainer/loggers/wandb/wandb_logger.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/callbacks/model_checkpoint.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/loggers/wandb/run_settings.h"
#include "worker/trainer/loggers/wandb/saved_model.h"

namespace lctl {
namespace {

constexpr std::string_view kStepMetric = "trainer/global_step";
constexpr const char* kFileInArtifact = "model.ckpt";

const char* environment(const char* name) { return std::getenv(name); }

wandb::RunSettings settings_of(const WandbLogger::Options& options) {
  wandb::RunSettings settings;
  settings.root = options.save_dir;
  settings.id = options.version.value_or(options.id.value_or(""));
  settings.project = options.project.value_or("");
  settings.name = options.name.value_or("");
  settings.entity = options.entity.value_or("");
  settings.group = options.group.value_or("");
  settings.job_type = options.job_type.value_or("");
  settings.notes = options.notes.value_or("");
  settings.tags = options.tags;
  return wandb::settled(std::move(settings), environment);
}

WandbLogger::Options checked(WandbLogger::Options options) {
  if (options.offline && options.log_model) {
    throw MisconfigurationException(fmt::format(
        "Providing log_model={} and offline=True is an invalid configuration since model "
        "checkpoints cannot be uploaded in offline mode.\nHint: Set `offline=False` to log your "
        "model.",
        options.log_model.python_text()));
  }
  if (options.add_file_policy != "mutable" && options.add_file_policy != "immutable") {
    throw MisconfigurationException(
        fmt::format("WandbLogger: add_file_policy '{}' must be 'mutable' or 'immutable'",
                    options.add_file_policy));
  }
  return options;
}

}  // namespace

LogModel::LogModel(const char* text) : on_(true), all_(true) {
  if (std::string_view(text) == "all") return;
  throw MisconfigurationException(
      fmt::format("WandbLogger: log_model '{}' must be true, false or \"all\"", text));
}

// Knows the trainer during a run, to ask its ModelCheckpoints.
class WandbLogger::TrainerFinder final : public Callback {
 public:
  void setup(Trainer& trainer, TrainableModule& /*module*/, std::string_view /*stage*/) override {
    trainer_ = &trainer;
  }
  void teardown(Trainer& /*trainer*/, TrainableModule& /*module*/,
                std::string_view /*stage*/) override {
    trainer_ = nullptr;
  }
  Trainer* trainer() const { return trainer_; }

 private:
  Trainer* trainer_ = nullptr;
};

// A checkpoint on its way to an artifact.
struct WandbLogger::SavedModel {
  std::string path;
  std::string metadata;
  const ModelCheckpoint* owner = nullptr;  // an identity: it may be gone
  bool is_best = false;
  bool at_once = false;     // logged as soon as it is written, not at the end
  wandb::StagedFile file;   // at_once: set by the thread that wrote the checkpoint,
  std::atomic<bool> there;  // before this
};

WandbLogger::WandbLogger(Options options)
    : options_(checked(std::move(options))),
      settings_(settings_of(options_)),
      disabled_(wandb::is_disabled(environment)) {
  if (options_.log_model && !disabled_) trainer_ = std::make_shared<TrainerFinder>();
}

WandbLogger::~WandbLogger() {
  if (run_ == nullptr) return;
  try {
    run_->finish(exit_code_);
  } catch (const std::exception& error) {
    console::warn(error.what());
  }
}

void WandbLogger::add_watch(const TrainableModule* module, wandb::WatchOptions options) {
  if (watch_ != nullptr) {
    throw std::invalid_argument(
        "WandbLogger: You can only call `watch` once; the logger follows one model");
  }
  wandb::Watch::Sink sink;
  sink.histogram = [this](std::string name, wandb::Histogram histogram) {
    if (wandb::Run* run = experiment()) run->add_histogram(std::move(name), std::move(histogram));
  };
  sink.graph = [this](const std::string& json) {
    if (wandb::Run* run = experiment())
      run->add_media("graph_0", "graph-file", "media/graph/graph_0_summary", ".graph.json", json);
  };
  watch_ = std::make_shared<wandb::Watch>(module, std::move(options), std::move(sink));
}

void WandbLogger::watch(const TrainableModule& module, std::optional<std::string> log,
                        std::int64_t log_freq, bool log_graph) {
  add_watch(&module, {std::move(log), log_freq, log_graph});
}

void WandbLogger::watch_trained_module(wandb::WatchOptions options) {
  add_watch(nullptr, std::move(options));
}

std::vector<std::shared_ptr<Callback>> WandbLogger::callbacks() {
  std::vector<std::shared_ptr<Callback>> mine;
  if (disabled_) return mine;
  if (watch_ != nullptr) mine.push_back(watch_);
  if (trainer_ != nullptr) mine.push_back(trainer_);
  return mine;
}

wandb::Run* WandbLogger::experiment() {
  if (disabled_ || run_ != nullptr) return run_.get();
  run_ = std::make_unique<wandb::Run>(settings_, *options_.clock);
  run_->define_step_metric(kStepMetric);
  console::info(fmt::format(
      "WandbLogger: run {} is written to {}. Nothing is uploaded; to do so: wandb sync {}",
      settings_.id, run_->folder().string(), run_->folder().string()));
  return run_.get();
}

void WandbLogger::start() {
  exit_code_ = 1;  // until it is known better
  if (disabled_) console::info("WandbLogger: WANDB_MODE is disabled: nothing is written.");
  experiment();
}

void WandbLogger::log_metrics(std::span<const LoggedMetric> metrics, std::int64_t step) {
  wandb::Run* run = experiment();
  if (run == nullptr) return;
  row_.assign(metrics.begin(), metrics.end());
  prefixed_.clear();
  if (!options_.prefix.empty()) {
    for (LoggedMetric& metric : row_)
      metric.name = prefixed_.emplace_back(fmt::format("{}-{}", options_.prefix, metric.name));
  }
  row_.push_back({kStepMetric, step});
  run->log(row_);
}

void WandbLogger::log_hyperparams(const checkpoint::Dict& hparams) {
  if (wandb::Run* run = experiment()) run->update_config(hparams);
}

void WandbLogger::save() {
  if (run_ != nullptr) run_->flush();
}

std::string WandbLogger::next_copy() {
  if (options_.add_file_policy == "immutable") return {};
  return (run_->folder() / "artifacts" / fmt::format("model-{}.ckpt", copies_++)).string();
}

wandb::StagedFile WandbLogger::staged(const std::string& path, const std::string& copy) {
  return copy.empty() ? wandb::file_in_place(path) : wandb::copied_file(path, copy);
}

std::function<void()> WandbLogger::before_save_checkpoint(const SavedCheckpoint& saved) {
  if (trainer_ == nullptr || trainer_->trainer() == nullptr || experiment() == nullptr)
    return nullptr;
  const auto model = std::make_shared<SavedModel>();
  model->path = saved.path;
  model->owner = wandb::owner_of(*trainer_->trainer(), saved.path);
  model->metadata = wandb::model_metadata(saved, model->owner);
  model->is_best = saved.is_best;
  model->at_once = options_.log_model.all() ||
                   (model->owner != nullptr && model->owner->options().save_top_k == -1);
  saving_.push_back(model);
  if (!model->at_once) return nullptr;
  return [model, copy = next_copy()] {
    model->file = staged(model->path, copy);
    model->there = true;
  };
}

void WandbLogger::after_save_checkpoint(const SavedCheckpoint& saved) {
  // Those before it that could not be written are never reported.
  const auto written = std::find_if(saving_.begin(), saving_.end(), [&saved](const auto& model) {
    return model->path == saved.path && (!model->at_once || model->there);
  });
  if (written == saving_.end()) return;
  const std::shared_ptr<SavedModel> model = *written;
  saving_.erase(saving_.begin(), std::next(written));
  if (model->at_once) {
    log_model(*model, model->file);
    return;
  }
  after_remove_checkpoint(model->path);  // an earlier file of that name
  if (model->is_best) {
    for (const auto& other : kept_) other->is_best = other->is_best && other->owner != model->owner;
  }
  kept_.push_back(model);
}

void WandbLogger::after_remove_checkpoint(std::string_view path) {
  kept_.remove_if([path](const auto& model) { return model->path == path; });
}

void WandbLogger::log_model(const SavedModel& model, const wandb::StagedFile& file) {
  wandb::records::Artifact artifact = wandb::artifact_of(file, kFileInArtifact);
  artifact.set_type("model");
  artifact.set_name(options_.checkpoint_name.value_or("model-" + settings_.id));
  artifact.set_metadata(model.metadata);
  if (model.is_best) artifact.add_aliases("best");
  artifact.add_aliases("latest");
  run_->log_artifact(std::move(artifact));
  run_->flush();
}

void WandbLogger::finalize(std::string_view status) {
  if (run_ == nullptr) return;
  exit_code_ = status == "success" ? 0 : 1;
  if (status == "success") {
    for (const auto& model : std::exchange(kept_, {}))
      log_model(*model, staged(model->path, next_copy()));
  }
  run_->flush();
}

}  // namespace lctl
