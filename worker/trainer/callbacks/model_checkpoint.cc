#include "worker/trainer/callbacks/model_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <stdexcept>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/python_format.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;
using checkpoint::Dict;
using checkpoint::Value;

std::string repr_or_none(const std::optional<std::string>& text) {
  return text ? python_repr(std::string_view(*text)) : "None";
}

// repr(datetime.timedelta(seconds=…)).
std::string timedelta_repr(double seconds) {
  auto micros = static_cast<std::int64_t>(std::llround(seconds * 1e6));
  const std::int64_t days = micros / 86'400'000'000;
  micros -= days * 86'400'000'000;
  std::string text;
  const auto add = [&text](const char* name, std::int64_t value) {
    if (value != 0) text += fmt::format("{}{}={}", text.empty() ? "" : ", ", name, value);
  };
  add("days", days);
  add("seconds", micros / 1'000'000);
  add("microseconds", micros % 1'000'000);
  return "datetime.timedelta(" + (text.empty() ? "0" : text) + ")";
}

// os.path.realpath(os.path.expanduser(path)).
std::string real_path(std::string path) {
  if (!path.empty() && path[0] == '~' && (path.size() == 1 || path[1] == '/')) {
    if (const char* home = std::getenv("HOME")) path = home + path.substr(1);
  }
  return fs::weakly_canonical(fs::absolute(path)).string();
}

Value score_value(const std::optional<MetricValue>& score) {
  return score ? Value(score->tensor().cpu()) : Value();
}

std::optional<MetricValue> score_from(const Value& value) {
  if (value.is_none()) return std::nullopt;
  return MetricValue(value.as_tensor());
}

}  // namespace

ModelCheckpoint::ModelCheckpoint(ModelCheckpointOptions options) : options_(std::move(options)) {
  const double worst = options_.mode == "max" ? -INFINITY : INFINITY;
  if (options_.mode != "min" && options_.mode != "max") {
    throw MisconfigurationException("`mode` can be min, max but got " + options_.mode);
  }
  kth_value_ = MetricValue(worst, false);
  if (options_.dirpath && !options_.dirpath->empty())
    options_.dirpath = real_path(*options_.dirpath);
  if (!options_.every_n_train_steps && !options_.every_n_epochs && !options_.train_time_interval) {
    every_n_epochs_ = 1;
  } else {
    every_n_epochs_ = options_.every_n_epochs.value_or(0);
    every_n_train_steps_ = options_.every_n_train_steps.value_or(0);
  }
  if (options_.save_top_k < -1) {
    throw MisconfigurationException(
        fmt::format("Invalid value for save_top_k={}. Must be >= -1", options_.save_top_k));
  }
  if (every_n_train_steps_ < 0) {
    throw MisconfigurationException(fmt::format(
        "Invalid value for every_n_train_steps={}. Must be >= 0", every_n_train_steps_));
  }
  if (every_n_epochs_ < 0) {
    throw MisconfigurationException(
        fmt::format("Invalid value for every_n_epochs={}. Must be >= 0", every_n_epochs_));
  }
  if ((every_n_train_steps_ >= 1) + (every_n_epochs_ >= 1) +
          options_.train_time_interval.has_value() >
      1) {
    throw MisconfigurationException(fmt::format(
        "Combination of parameters every_n_train_steps={}, every_n_epochs={} and "
        "train_time_interval={} should be mutually exclusive.",
        every_n_train_steps_, every_n_epochs_,
        options_.train_time_interval ? timedelta_repr(*options_.train_time_interval) : "None"));
  }
  if (!options_.monitor && (options_.save_top_k < -1 || options_.save_top_k > 1)) {
    throw MisconfigurationException(
        fmt::format("ModelCheckpoint(save_top_k={}, monitor=None) is not a valid configuration. No "
                    "quantity for top_k to track.",
                    options_.save_top_k));
  }
}

std::string ModelCheckpoint::state_key() const {
  return fmt::format(
      "ModelCheckpoint{{'monitor': {}, 'mode': '{}', 'every_n_train_steps': {}, 'every_n_epochs': "
      "{}, 'train_time_interval': {}}}",
      repr_or_none(options_.monitor), options_.mode, every_n_train_steps_, every_n_epochs_,
      options_.train_time_interval ? timedelta_repr(*options_.train_time_interval) : "None");
}

Dict ModelCheckpoint::state_dict() {
  Dict models;
  for (const auto& [path, score] : best_k_models_) models.set(path, score.tensor().cpu());
  Dict state;
  state.set("monitor", options_.monitor ? Value(*options_.monitor) : Value());
  state.set("best_model_score", score_value(best_model_score_));
  state.set("best_model_path", best_model_path_);
  state.set("current_score", score_value(current_score_));
  state.set("dirpath", dirpath_);
  state.set("best_k_models", std::move(models));
  state.set("kth_best_model_path", kth_best_model_path_);
  state.set("kth_value", kth_value_.tensor().cpu());
  state.set("last_model_path", last_model_path_);
  return state;
}

void ModelCheckpoint::load_state_dict(const Dict& state) {
  const Value* saved = state.find("dirpath");
  const std::string saved_dirpath =
      saved != nullptr && saved->is_string() ? saved->as_string() : dirpath_;
  if (saved_dirpath == dirpath_) {
    best_model_score_ = score_from(state.at("best_model_score"));
    if (const Value* path = state.find("kth_best_model_path"))
      kth_best_model_path_ = path->as_string();
    if (const Value* value = state.find("kth_value")) kth_value_ = MetricValue(value->as_tensor());
    if (const Value* models = state.find("best_k_models")) {
      best_k_models_.clear();
      for (const auto& [path, score] : models->as_dict().entries()) {
        best_k_models_.emplace_back(path.as_string(), MetricValue(score.as_tensor()));
      }
    }
    if (const Value* path = state.find("last_model_path")) last_model_path_ = path->as_string();
  } else {
    console::warn(fmt::format(
        "The dirpath has changed from {} to {}, therefore `best_model_score`, "
        "`kth_best_model_path`, `kth_value`, "
        "`last_model_path` and `best_k_models` won't be reloaded. Only `best_model_path` will be "
        "reloaded.",
        python_repr(std::string_view(saved_dirpath)), python_repr(std::string_view(dirpath_))));
  }
  best_model_path_ = state.at("best_model_path").as_string();
}

std::string ModelCheckpoint::resolve_dirpath(const Trainer& trainer) const {
  if (options_.dirpath) return *options_.dirpath;
  auto& loggers = const_cast<Trainer&>(trainer).loggers();
  const auto first = std::find_if(loggers.begin(), loggers.end(),
                                  [](const auto& logger) { return logger->is_user_logger(); });
  if (first == loggers.end())
    return (fs::path(trainer.default_root_dir()) / "checkpoints").string();
  fs::path path = (*first)->save_dir().empty() ? trainer.default_root_dir() : (*first)->save_dir();
  if (!(*first)->name().empty()) path /= (*first)->name();
  return (path / version_folder((*first)->version()) / "checkpoints").string();
}

void ModelCheckpoint::setup(Trainer& trainer, TrainableModule&, std::string_view stage) {
  dirpath_ = trainer.strategy().broadcast(trainer.is_global_zero() ? resolve_dirpath(trainer)
                                                                   : std::string());
  std::error_code ignored;
  if (trainer.is_global_zero() && stage == "fit" && options_.save_top_k != 0 &&
      fs::is_directory(dirpath_, ignored) && !fs::is_empty(dirpath_, ignored)) {
    console::warn("Checkpoint directory " + dirpath_ + " exists and is not empty.");
  }
}

void ModelCheckpoint::on_train_start(Trainer& trainer, TrainableModule&) {
  last_time_checked_ = trainer.clock().monotonic_now();
}

bool ModelCheckpoint::should_skip_saving(const Trainer& trainer) const {
  return trainer.options().fast_dev_run > 0 || trainer.state().fn != RunFn::kFit ||
         trainer.sanity_checking() || last_global_step_saved_ == trainer.global_step();
}

bool ModelCheckpoint::saves_on_train_epoch_end(const Trainer& trainer) const {
  if (options_.save_on_train_epoch_end) return *options_.save_on_train_epoch_end;
  const TrainerOptions& options = trainer.options();
  if (options.val_check_time) return false;
  if (options.check_val_every_n_epoch != std::optional<std::int64_t>(1)) return false;
  if (trainer.num_val_batches() == 0) return true;
  return std::visit([](auto interval) { return interval == 1; },
                    options.val_check_interval.value());
}

MonitorCandidates ModelCheckpoint::monitor_candidates(Trainer& trainer) const {
  MonitorCandidates candidates;
  bool has_epoch = false;
  bool has_step = false;
  for (const auto& [name, value] : trainer.callback_metrics().entries()) {
    MonitorCandidate candidate{name, value, std::nullopt};
    if (name == "epoch" || name == "step") {
      candidate.integer = static_cast<std::int64_t>(value.number());
      (name == "epoch" ? has_epoch : has_step) = true;
    }
    candidates.push_back(std::move(candidate));
  }
  const auto add = [&candidates](const char* name, std::int64_t value) {
    candidates.push_back({name, MetricValue(static_cast<double>(value), true), value});
  };
  if (!has_epoch) add("epoch", trainer.current_epoch());
  if (!has_step) add("step", trainer.global_step());
  return candidates;
}

bool ModelCheckpoint::has_monitor(const MonitorCandidates& candidates) const {
  return !options_.monitor ||
         std::any_of(candidates.begin(), candidates.end(),
                     [this](const auto& candidate) { return candidate.name == *options_.monitor; });
}

bool ModelCheckpoint::validation_follows(const Trainer& trainer) const {
  if (!trainer.enable_validation() || trainer.num_val_batches() <= 0) return false;
  const std::optional<std::int64_t> every = trainer.options().check_val_every_n_epoch;
  return !every || (trainer.current_epoch() + 1) % *every == 0;
}

void ModelCheckpoint::on_train_batch_end(Trainer& trainer, TrainableModule& module,
                                         const StepOutput&, const Batch&, std::int64_t) {
  if (trainer.options().fast_dev_run == 0) trainer.expect_checkpoints();
  const bool due_by_step =
      every_n_train_steps_ >= 1 && trainer.global_step() % every_n_train_steps_ == 0;
  bool due_by_time = false;
  if (options_.train_time_interval && module.automatic_optimization()) {
    const MonotonicTime now = trainer.clock().monotonic_now();
    due_by_time =
        last_time_checked_ && std::chrono::duration<double>(now - *last_time_checked_).count() >=
                                  *options_.train_time_interval;
    due_by_time = trainer.strategy().broadcast(due_by_time ? "1" : "0") == "1";
    if (due_by_time) last_time_checked_ = now;
  }
  if (!due_by_step && !due_by_time) return;
  if (!module.automatic_optimization() && should_skip_saving(trainer)) return;
  const MonitorCandidates candidates = monitor_candidates(trainer);
  if (!has_monitor(candidates)) {
    if (saves_on_train_epoch_end(trainer) && !should_skip_saving(trainer))
      warn_of_skipped_step(trainer);
    defer_save_until_validation_ = true;
    return;
  }
  if (module.automatic_optimization()) {
    // At the epoch's end a fresh value is about to come.
    if (options_.monitor && !saves_on_train_epoch_end(trainer) &&
        trainer.progress().fit.batch.is_last_batch && validation_follows(trainer)) {
      defer_save_until_validation_ = true;
      return;
    }
    if (should_skip_saving(trainer)) return;
  } else {
    console::warn(
        "Using ModelCheckpoint with manual optimization and every_n_train_steps, but no "
        "pre-optimization state was saved. The checkpoint will contain the model state AFTER "
        "optimization.");
  }
  save_topk(trainer, candidates);
  save_last(trainer, candidates);
}

void ModelCheckpoint::save_at_epoch(Trainer& trainer) {
  const MonitorCandidates candidates = monitor_candidates(trainer);
  const bool due = every_n_epochs_ >= 1 && (trainer.current_epoch() + 1) % every_n_epochs_ == 0;
  if (due) save_topk(trainer, candidates);
  const bool linked = options_.save_last == SaveLast::kLink && !last_checkpoint_saved_.empty();
  if (last_global_step_saved_ == trainer.global_step() || linked) {
    save_last(trainer, candidates);
  } else if (due && options_.save_last != SaveLast::kNo && options_.monitor &&
             options_.save_top_k > 0) {
    warn_of_old_last(trainer);
  }
}

void ModelCheckpoint::on_train_epoch_end(Trainer& trainer, TrainableModule&) {
  if (!should_skip_saving(trainer) && saves_on_train_epoch_end(trainer)) save_at_epoch(trainer);
}

void ModelCheckpoint::on_validation_end(Trainer& trainer, TrainableModule&) {
  if (should_skip_saving(trainer) || saves_on_train_epoch_end(trainer)) return;
  if (!defer_save_until_validation_) return save_at_epoch(trainer);
  const MonitorCandidates candidates = monitor_candidates(trainer);
  save_topk(trainer, candidates);
  save_last(trainer, candidates);
  defer_save_until_validation_ = false;
}

void ModelCheckpoint::on_train_end(Trainer& trainer, TrainableModule&) {
  if (options_.save_last == SaveLast::kNo || !last_checkpoint_saved_.empty()) return;
  save_last(trainer, monitor_candidates(trainer));
}

void ModelCheckpoint::on_exception(Trainer& trainer, TrainableModule&,
                                   const std::exception& error) {
  if (!options_.save_on_exception || trainer.options().fast_dev_run > 0 ||
      trainer.sanity_checking() || last_global_step_saved_ == trainer.global_step()) {
    return;
  }
  const MonitorCandidates candidates = monitor_candidates(trainer);
  const std::string path = path_for(candidates, options_.filename.value_or(""), std::nullopt);
  save(trainer, path, false);
  save_last(trainer, candidates);
  console::info(
      fmt::format("An exception was raised with message:             {}, saved checkpoint to {}",
                  error.what(), path));
}

}  // namespace lctl
