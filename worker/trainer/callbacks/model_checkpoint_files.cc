// ModelCheckpoint: which files it writes, keeps and removes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <tuple>

#include "worker/trainer/callbacks/model_checkpoint.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/python_format.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".ckpt";
constexpr std::string_view kLastName = "last";
constexpr std::int64_t kFirstVersion = 1;

std::string absolute_path(const std::string& path) {
  return fs::absolute(path).lexically_normal().string();
}

}  // namespace

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
        "`ModelCheckpoint(monitor={0})` could not find the monitored key in the returned metrics: "
        "[{1}]. HINT: Did you call "
        "`log({0}, value)` in the `LightningModule`?",
        monitor, names);
    if (trainer.fit_loop().val_loop().has_run()) throw MisconfigurationException(message);
    console::warn(message);
  }
  save_monitored(trainer, candidates, current);
}

void ModelCheckpoint::save_without_monitor(Trainer& trainer, const MonitorCandidates& candidates) {
  const std::string path =
      unused_path(trainer, candidates, options_.filename.value_or(""), best_model_path_);
  const std::string previous = std::exchange(best_model_path_, path);
  save(trainer, path, false);
  if (options_.save_top_k == 1 && !previous.empty() && should_remove(trainer, previous, path))
    remove(trainer, previous);
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

void ModelCheckpoint::save_monitored(Trainer& trainer, const MonitorCandidates& candidates,
                                     const MetricValue* current) {
  if (current != nullptr && belongs_to_top_k(trainer, *current))
    return update_best_and_save(trainer, candidates, *current);
  if (options_.verbose) {
    console::info(fmt::format("Epoch {}, global step {}: {} was not in top {}",
                              trainer.current_epoch(), trainer.global_step(),
                              python_repr(std::string_view(*options_.monitor)),
                              options_.save_top_k));
  }
}

void ModelCheckpoint::update_best_and_save(Trainer& trainer, const MonitorCandidates& candidates,
                                           MetricValue current) {
  const std::size_t k = options_.save_top_k == -1 ? best_k_models_.size() + 1
                                                  : static_cast<std::size_t>(options_.save_top_k);
  std::string replaced;
  if (best_k_models_.size() == k && k > 0) {
    replaced = kth_best_model_path_;
    std::erase_if(best_k_models_, [&](const auto& entry) { return entry.first == replaced; });
  }
  const double worst = options_.mode == "min" ? INFINITY : -INFINITY;
  if (std::isnan(current.number())) current = MetricValue(worst, current.is_wide());
  const std::string path =
      unused_path(trainer, candidates, options_.filename.value_or(""), replaced);
  current_score_ = current;
  const auto same = std::find_if(best_k_models_.begin(), best_k_models_.end(),
                                 [&](const auto& entry) { return entry.first == path; });
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
  if (best_k_models_.size() == k)
    std::tie(kth_best_model_path_, kth_value_) = first_extreme(/*best=*/false);
  std::tie(best_model_path_, best_model_score_) = first_extreme(/*best=*/true);
  if (options_.verbose) {
    console::info(fmt::format(
        "Epoch {}, global step {}: {} reached {:.5f} (best {:.5f}), saving model to {} as top {}",
        trainer.current_epoch(), trainer.global_step(),
        python_repr(std::string_view(*options_.monitor)), current.number(),
        best_model_score_->number(), python_repr(std::string_view(path)), k));
  }
  save(trainer, path, false);
  if (!replaced.empty() && should_remove(trainer, replaced, path)) remove(trainer, replaced);
}

// ---- last

void ModelCheckpoint::save_last(Trainer& trainer, const MonitorCandidates& candidates) {
  if (options_.save_last == SaveLast::kNo) return;
  const std::string path = unused_path(trainer, candidates, kLastName, last_model_path_);
  const std::string previous = std::exchange(last_model_path_, path);
  if (options_.save_last == SaveLast::kLink && !last_checkpoint_saved_.empty() &&
      options_.save_top_k != 0) {
    link(trainer, last_checkpoint_saved_, path);
  } else {
    save(trainer, path, true);
  }
  if (!previous.empty() && should_remove(trainer, previous, path)) remove(trainer, previous);
}

void ModelCheckpoint::link(Trainer& trainer, const std::string& path,
                           const std::string& link_path) const {
  if (!trainer.is_global_zero() || absolute_path(path) == absolute_path(link_path)) return;
  trainer.checkpoint_writer().make(link_path, [path, link_path] {
    fs::remove_all(link_path);
    const fs::path target =
        fs::path(absolute_path(path))
            .lexically_relative(fs::path(absolute_path(link_path)).parent_path());
    std::error_code error;
    fs::create_symlink(target, link_path, error);
    if (error) fs::copy_file(path, link_path);
  });
}

std::vector<std::string> ModelCheckpoint::find_last_checkpoints(const Trainer& trainer) const {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(resolve_dirpath(trainer), error), end; !error && entry != end;
       entry.increment(error)) {
    const fs::path& path = entry->path();
    if (path.extension() == kExtension && path.stem().string().starts_with(kLastName)) {
      found.push_back(path.lexically_normal().string());
    }
  }
  return found;
}

// ---- files

std::string ModelCheckpoint::path_for(const MonitorCandidates& candidates,
                                      std::string_view filename,
                                      std::optional<std::int64_t> version) const {
  warn_of_template(filename, candidates);
  std::string name = format_checkpoint_name(filename, candidates, options_.auto_insert_metric_name);
  if (version) name += fmt::format("-v{}", *version);
  name += kExtension;
  return dirpath_.empty() ? name : (fs::path(dirpath_) / name).string();
}

std::string ModelCheckpoint::unused_path(Trainer& trainer, const MonitorCandidates& candidates,
                                         std::string_view filename,
                                         std::string_view may_replace) const {
  std::string path = path_for(candidates, filename, std::nullopt);
  if (!options_.enable_version_counter) return path;
  for (std::int64_t version = kFirstVersion; path != may_replace && file_exists(trainer, path);
       ++version) {
    path = path_for(candidates, filename, version);
  }
  return path;
}

bool ModelCheckpoint::file_exists(Trainer& trainer, const std::string& path) const {
  const bool here = trainer.is_global_zero() && trainer.checkpoint_writer().exists(path);
  return trainer.strategy().reduce_boolean_decision(here, /*all=*/false);
}

void ModelCheckpoint::save(Trainer& trainer, const std::string& path, bool is_last) {
  SavedCheckpoint saved;
  saved.path = path;
  saved.global_step = trainer.global_step();
  saved.epoch = trainer.current_epoch();
  saved.is_last = is_last;
  saved.is_best = !is_last && path == best_model_path_;
  if (options_.monitor && current_score_) {
    saved.monitor = *options_.monitor;
    saved.score = current_score_->number();
    saved.higher_is_better = options_.mode == "max";
  }
  const auto& loggers = trainer.logger_connector().loggers();
  std::vector<std::function<void()>> stagings;
  for (const auto& logger : loggers) {
    if (std::function<void()> staging = logger->before_save_checkpoint(saved))
      stagings.push_back(std::move(staging));
  }
  trainer.save_checkpoint_in_background(
      path, options_.save_weights_only,
      [stagings = std::move(stagings)] {
        for (const auto& staging : stagings) staging();
      },
      [loggers, saved] {
        for (const auto& logger : loggers) logger->after_save_checkpoint(saved);
      });
  last_global_step_saved_ = trainer.global_step();
  last_checkpoint_saved_ = path;
}

bool ModelCheckpoint::should_remove(const Trainer& trainer, const std::string& previous,
                                    const std::string& current) const {
  if (previous == current) return false;
  const std::string file = absolute_path(previous);
  if (!trainer.ckpt_path().empty() && file == absolute_path(trainer.ckpt_path())) return false;
  const std::string folder = absolute_path(dirpath_) + "/";
  return file.starts_with(folder);
}

void ModelCheckpoint::remove(Trainer& trainer, const std::string& path) const {
  trainer.remove_checkpoint(path, [loggers = trainer.logger_connector().loggers(), path] {
    for (const auto& logger : loggers) logger->after_remove_checkpoint(path);
  });
}

}  // namespace lctl
