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

constexpr std::string_view kExtension = ".ckpt";
constexpr std::string_view kLastName = "last";
constexpr std::int64_t kFirstVersion = 1;

std::string repr_or_none(const std::optional<std::string>& text) { return text ? python_repr(std::string_view(*text)) : "None"; }

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

std::string absolute_path(const std::string& path) { return fs::absolute(path).lexically_normal().string(); }

Value score_value(const std::optional<MetricValue>& score) { return score ? Value(score->tensor().cpu()) : Value(); }

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
  if (options_.dirpath && !options_.dirpath->empty()) options_.dirpath = real_path(*options_.dirpath);
  if (!options_.every_n_train_steps && !options_.every_n_epochs && !options_.train_time_interval) {
    every_n_epochs_ = 1;
  } else {
    every_n_epochs_ = options_.every_n_epochs.value_or(0);
    every_n_train_steps_ = options_.every_n_train_steps.value_or(0);
  }
  if (options_.save_top_k < -1) {
    throw MisconfigurationException(fmt::format("Invalid value for save_top_k={}. Must be >= -1", options_.save_top_k));
  }
  if (every_n_train_steps_ < 0) {
    throw MisconfigurationException(fmt::format("Invalid value for every_n_train_steps={}. Must be >= 0", every_n_train_steps_));
  }
  if (every_n_epochs_ < 0) {
    throw MisconfigurationException(fmt::format("Invalid value for every_n_epochs={}. Must be >= 0", every_n_epochs_));
  }
  if ((every_n_train_steps_ >= 1) + (every_n_epochs_ >= 1) + options_.train_time_interval.has_value() > 1) {
    throw MisconfigurationException(fmt::format(
        "Combination of parameters every_n_train_steps={}, every_n_epochs={} and train_time_interval={} should be mutually exclusive.",
        every_n_train_steps_, every_n_epochs_,
        options_.train_time_interval ? timedelta_repr(*options_.train_time_interval) : "None"));
  }
  if (!options_.monitor && (options_.save_top_k < -1 || options_.save_top_k > 1)) {
    throw MisconfigurationException(fmt::format(
        "ModelCheckpoint(save_top_k={}, monitor=None) is not a valid configuration. No quantity for top_k to track.",
        options_.save_top_k));
  }
}

std::string ModelCheckpoint::state_key() const {
  return fmt::format(
      "ModelCheckpoint{{'monitor': {}, 'mode': '{}', 'every_n_train_steps': {}, 'every_n_epochs': {}, 'train_time_interval': {}}}",
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
  const std::string saved_dirpath = saved != nullptr && saved->is_string() ? saved->as_string() : dirpath_;
  if (saved_dirpath == dirpath_) {
    best_model_score_ = score_from(state.at("best_model_score"));
    if (const Value* path = state.find("kth_best_model_path")) kth_best_model_path_ = path->as_string();
    if (const Value* value = state.find("kth_value")) kth_value_ = MetricValue(value->as_tensor());
    if (const Value* models = state.find("best_k_models")) {
      best_k_models_.clear();
      for (const auto& [path, score] : models->as_dict().entries()) {
        best_k_models_.emplace_back(path.as_string(), MetricValue(score.as_tensor()));
      }
    }
    if (const Value* path = state.find("last_model_path")) last_model_path_ = path->as_string();
  } else {
    console::warn(fmt::format("The dirpath has changed from {} to {}, therefore `best_model_score`, `kth_best_model_path`, `kth_value`, "
                              "`last_model_path` and `best_k_models` won't be reloaded. Only `best_model_path` will be reloaded.",
                              python_repr(std::string_view(saved_dirpath)), python_repr(std::string_view(dirpath_))));
  }
  best_model_path_ = state.at("best_model_path").as_string();
}

std::string ModelCheckpoint::resolve_dirpath(const Trainer& trainer) const {
  if (options_.dirpath) return *options_.dirpath;
  auto& loggers = const_cast<Trainer&>(trainer).loggers();
  const auto first = std::find_if(loggers.begin(), loggers.end(), [](const auto& logger) { return logger->is_user_logger(); });
  if (first == loggers.end()) return (fs::path(trainer.default_root_dir()) / "checkpoints").string();
  fs::path path = (*first)->save_dir().empty() ? trainer.default_root_dir() : (*first)->save_dir();
  if (!(*first)->name().empty()) path /= (*first)->name();
  return (path / version_folder((*first)->version()) / "checkpoints").string();
}

void ModelCheckpoint::setup(Trainer& trainer, TrainableModule&, std::string_view stage) {
  dirpath_ = trainer.strategy().broadcast(trainer.is_global_zero() ? resolve_dirpath(trainer) : std::string());
  std::error_code ignored;
  if (trainer.is_global_zero() && stage == "fit" && options_.save_top_k != 0 && fs::is_directory(dirpath_, ignored) &&
      !fs::is_empty(dirpath_, ignored)) {
    console::warn("Checkpoint directory " + dirpath_ + " exists and is not empty.");
  }
}

void ModelCheckpoint::on_train_start(Trainer& trainer, TrainableModule&) { last_time_checked_ = trainer.clock().monotonic_now(); }

bool ModelCheckpoint::should_skip_saving(const Trainer& trainer) const {
  return trainer.options().fast_dev_run > 0 || trainer.state().fn != RunFn::kFit || trainer.sanity_checking() ||
         last_global_step_saved_ == trainer.global_step();
}

bool ModelCheckpoint::saves_on_train_epoch_end(const Trainer& trainer) const {
  if (options_.save_on_train_epoch_end) return *options_.save_on_train_epoch_end;
  const TrainerOptions& options = trainer.options();
  if (options.val_check_time) return false;
  if (options.check_val_every_n_epoch != std::optional<std::int64_t>(1)) return false;
  if (trainer.num_val_batches() == 0) return true;
  return std::visit([](auto interval) { return interval == 1; }, options.val_check_interval);
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
  return !options_.monitor || std::any_of(candidates.begin(), candidates.end(),
                                          [this](const auto& candidate) { return candidate.name == *options_.monitor; });
}

bool ModelCheckpoint::validation_follows(const Trainer& trainer) const {
  if (!trainer.enable_validation() || trainer.num_val_batches() <= 0) return false;
  const std::optional<std::int64_t> every = trainer.options().check_val_every_n_epoch;
  return !every || (trainer.current_epoch() + 1) % *every == 0;
}

void ModelCheckpoint::on_train_batch_end(Trainer& trainer, TrainableModule& module, const StepOutput&, const Batch&, std::int64_t) {
  const bool due_by_step = every_n_train_steps_ >= 1 && trainer.global_step() % every_n_train_steps_ == 0;
  bool due_by_time = false;
  if (options_.train_time_interval && module.automatic_optimization()) {
    const MonotonicTime now = trainer.clock().monotonic_now();
    due_by_time = last_time_checked_ &&
                  std::chrono::duration<double>(now - *last_time_checked_).count() >= *options_.train_time_interval;
    due_by_time = trainer.strategy().broadcast(due_by_time ? "1" : "0") == "1";
    if (due_by_time) last_time_checked_ = now;
  }
  if (!due_by_step && !due_by_time) return;
  if (!module.automatic_optimization() && should_skip_saving(trainer)) return;
  const MonitorCandidates candidates = monitor_candidates(trainer);
  if (!has_monitor(candidates)) {
    defer_save_until_validation_ = true;
    return;
  }
  if (module.automatic_optimization()) {
    // At the epoch's end a fresh value is about to come.
    if (options_.monitor && !saves_on_train_epoch_end(trainer) && trainer.progress().fit.batch.is_last_batch &&
        validation_follows(trainer)) {
      defer_save_until_validation_ = true;
      return;
    }
    if (should_skip_saving(trainer)) return;
  }
  save_topk(trainer, candidates);
  save_last(trainer, candidates);
}

void ModelCheckpoint::save_at_epoch(Trainer& trainer) {
  const MonitorCandidates candidates = monitor_candidates(trainer);
  if (every_n_epochs_ >= 1 && (trainer.current_epoch() + 1) % every_n_epochs_ == 0) save_topk(trainer, candidates);
  const bool linked = options_.save_last == SaveLast::kLink && !last_checkpoint_saved_.empty();
  if (last_global_step_saved_ == trainer.global_step() || linked) save_last(trainer, candidates);
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

void ModelCheckpoint::on_exception(Trainer& trainer, TrainableModule&, const std::exception& error) {
  if (!options_.save_on_exception || trainer.options().fast_dev_run > 0 || trainer.sanity_checking() ||
      last_global_step_saved_ == trainer.global_step()) {
    return;
  }
  const MonitorCandidates candidates = monitor_candidates(trainer);
  const std::string path = path_for(candidates, options_.filename.value_or(""), std::nullopt);
  save(trainer, path, false);
  save_last(trainer, candidates);
  console::info(fmt::format("An exception was raised with message:             {}, saved checkpoint to {}", error.what(), path));
}

// ---- top k

void ModelCheckpoint::save_topk(Trainer& trainer, const MonitorCandidates& candidates) {
  if (options_.save_top_k == 0) return;
  if (!options_.monitor) return save_without_monitor(trainer, candidates);
  const MetricValue* current = nullptr;
  std::string names;
  for (const MonitorCandidate& candidate : candidates) {
    if (candidate.name == *options_.monitor) current = &candidate.value;
    names += (names.empty() ? "" : ", ") + python_repr(std::string_view(candidate.name));
  }
  if (current == nullptr) {
    const std::string monitor = python_repr(std::string_view(*options_.monitor));
    const std::string message = fmt::format(
        "`ModelCheckpoint(monitor={0})` could not find the monitored key in the returned metrics: [{1}]. HINT: Did you call "
        "`log({0}, value)` in the `LightningModule`?",
        monitor, names);
    if (trainer.fit_loop().val_loop().has_run()) throw MisconfigurationException(message);
    console::warn(message);
  }
  save_monitored(trainer, candidates, current);
}

void ModelCheckpoint::save_without_monitor(Trainer& trainer, const MonitorCandidates& candidates) {
  const std::string path = unused_path(trainer, candidates, options_.filename.value_or(""), best_model_path_);
  const std::string previous = std::exchange(best_model_path_, path);
  save(trainer, path, false);
  if (options_.save_top_k == 1 && !previous.empty() && should_remove(trainer, previous, path)) remove(trainer, previous);
}

bool ModelCheckpoint::belongs_to_top_k(Trainer& trainer, const MetricValue& current) const {
  if (options_.save_top_k == -1) return true;
  if (static_cast<std::int64_t>(best_k_models_.size()) < options_.save_top_k) return true;
  double kth = kth_value_.number();
  for (const auto& [path, score] : best_k_models_) {
    if (path == kth_best_model_path_) kth = score.number();
  }
  return trainer.strategy().reduce_boolean_decision(better(current.number(), kth), /*all=*/true);
}

void ModelCheckpoint::save_monitored(Trainer& trainer, const MonitorCandidates& candidates, const MetricValue* current) {
  if (current != nullptr && belongs_to_top_k(trainer, *current)) return update_best_and_save(trainer, candidates, *current);
  if (options_.verbose) {
    console::info(fmt::format("Epoch {}, global step {}: {} was not in top {}", trainer.current_epoch(), trainer.global_step(),
                              python_repr(std::string_view(*options_.monitor)), options_.save_top_k));
  }
}

void ModelCheckpoint::update_best_and_save(Trainer& trainer, const MonitorCandidates& candidates, MetricValue current) {
  const std::size_t k = options_.save_top_k == -1 ? best_k_models_.size() + 1 : static_cast<std::size_t>(options_.save_top_k);
  std::string replaced;
  if (best_k_models_.size() == k && k > 0) {
    replaced = kth_best_model_path_;
    std::erase_if(best_k_models_, [&](const auto& entry) { return entry.first == replaced; });
  }
  const double worst = options_.mode == "min" ? INFINITY : -INFINITY;
  if (std::isnan(current.number())) current = MetricValue(worst, current.is_wide());
  const std::string path = unused_path(trainer, candidates, options_.filename.value_or(""), replaced);
  current_score_ = current;
  const auto same = std::find_if(best_k_models_.begin(), best_k_models_.end(), [&](const auto& entry) { return entry.first == path; });
  if (same != best_k_models_.end()) {
    same->second = current;
  } else {
    best_k_models_.emplace_back(path, current);
  }
  // First of equals, in order of insertion.
  const auto first_extreme = [this](bool best) {
    const auto* found = &best_k_models_.front();
    for (const auto& entry : best_k_models_) {
      const double a = entry.second.number();
      const double b = found->second.number();
      if (best ? better(a, b) : better(b, a)) found = &entry;
    }
    return *found;
  };
  if (best_k_models_.size() == k) std::tie(kth_best_model_path_, kth_value_) = first_extreme(/*best=*/false);
  std::tie(best_model_path_, best_model_score_) = first_extreme(/*best=*/true);
  if (options_.verbose) {
    console::info(fmt::format("Epoch {}, global step {}: {} reached {:.5f} (best {:.5f}), saving model to {} as top {}",
                              trainer.current_epoch(), trainer.global_step(), python_repr(std::string_view(*options_.monitor)),
                              current.number(), best_model_score_->number(), python_repr(std::string_view(path)), k));
  }
  save(trainer, path, false);
  if (!replaced.empty() && should_remove(trainer, replaced, path)) remove(trainer, replaced);
}

// ---- last

void ModelCheckpoint::save_last(Trainer& trainer, const MonitorCandidates& candidates) {
  if (options_.save_last == SaveLast::kNo) return;
  const std::string path = unused_path(trainer, candidates, kLastName, last_model_path_);
  const std::string previous = std::exchange(last_model_path_, path);
  if (options_.save_last == SaveLast::kLink && !last_checkpoint_saved_.empty() && options_.save_top_k != 0) {
    link(trainer, last_checkpoint_saved_, path);
  } else {
    save(trainer, path, true);
  }
  if (!previous.empty() && should_remove(trainer, previous, path)) remove(trainer, previous);
}

void ModelCheckpoint::link(Trainer& trainer, const std::string& path, const std::string& link_path) const {
  if (trainer.is_global_zero() && absolute_path(path) != absolute_path(link_path)) {
    fs::remove_all(link_path);
    const fs::path target = fs::path(absolute_path(path)).lexically_relative(fs::path(absolute_path(link_path)).parent_path());
    std::error_code error;
    fs::create_symlink(target, link_path, error);
    if (error) fs::copy_file(path, link_path);
  }
  trainer.strategy().barrier();
}

std::vector<std::string> ModelCheckpoint::find_last_checkpoints(const Trainer& trainer) const {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(resolve_dirpath(trainer), error), end; !error && entry != end; entry.increment(error)) {
    const fs::path& path = entry->path();
    if (path.extension() == kExtension && path.stem().string().starts_with(kLastName)) {
      found.push_back(path.lexically_normal().string());
    }
  }
  return found;
}

// ---- files

std::string ModelCheckpoint::path_for(const MonitorCandidates& candidates, std::string_view filename,
                                      std::optional<std::int64_t> version) const {
  std::string name = format_checkpoint_name(filename, candidates, options_.auto_insert_metric_name);
  if (version) name += fmt::format("-v{}", *version);
  name += kExtension;
  return dirpath_.empty() ? name : (fs::path(dirpath_) / name).string();
}

std::string ModelCheckpoint::unused_path(Trainer& trainer, const MonitorCandidates& candidates, std::string_view filename,
                                         std::string_view may_replace) const {
  std::string path = path_for(candidates, filename, std::nullopt);
  if (!options_.enable_version_counter) return path;
  for (std::int64_t version = kFirstVersion; path != may_replace && file_exists(trainer, path); ++version) {
    path = path_for(candidates, filename, version);
  }
  return path;
}

bool ModelCheckpoint::file_exists(Trainer& trainer, const std::string& path) const {
  std::error_code ignored;
  const bool here = trainer.is_global_zero() && fs::exists(fs::symlink_status(path, ignored));
  return trainer.strategy().reduce_boolean_decision(here, /*all=*/false);
}

void ModelCheckpoint::save(Trainer& trainer, const std::string& path, bool is_last) {
  trainer.save_checkpoint(path, options_.save_weights_only);
  last_global_step_saved_ = trainer.global_step();
  last_checkpoint_saved_ = path;
  SavedCheckpoint saved;
  saved.path = path;
  saved.global_step = trainer.global_step();
  saved.epoch = trainer.current_epoch();
  saved.is_last = is_last;
  saved.is_best = !is_last && path == best_model_path_;
  if (options_.monitor && current_score_) {
    saved.monitor = *options_.monitor;
    saved.score = current_score_->number();
  }
  for (const auto& logger : trainer.logger_connector().loggers()) logger->after_save_checkpoint(saved);
}

bool ModelCheckpoint::should_remove(const Trainer& trainer, const std::string& previous, const std::string& current) const {
  if (previous == current) return false;
  const std::string file = absolute_path(previous);
  if (!trainer.ckpt_path().empty() && file == absolute_path(trainer.ckpt_path())) return false;
  const std::string folder = absolute_path(dirpath_) + "/";
  return file.starts_with(folder);
}

void ModelCheckpoint::remove(Trainer& trainer, const std::string& path) const {
  trainer.remove_checkpoint(path);
  for (const auto& logger : trainer.logger_connector().loggers()) logger->after_remove_checkpoint(path);
}

}  // namespace lctl
