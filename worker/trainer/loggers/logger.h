// Where metrics and hyper-parameters are written: the interface of all loggers.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "worker/trainer/checkpoint/value.h"

namespace lctl {

// One value of a log call. Metrics are doubles (a float32 widened); `epoch` is an integer, and
// loggers must write it as one. `name` lives as long as the call.
struct LoggedMetric {
  std::string_view name;
  std::variant<double, std::int64_t> value;
};

// What a logger learns of a saved checkpoint.
struct SavedCheckpoint {
  std::string path;  // as ModelCheckpoint names it
  std::int64_t global_step = 0;
  std::int64_t epoch = 0;
  std::string monitor;            // "" = none
  double score = 0;               // valid with monitor
  bool higher_is_better = false;  // valid with monitor
  bool is_best = false;
  bool is_last = false;
};

// The trainer calls all of this on rank 0 only, from the training thread, in Lightning's order:
// start, log_hyperparams (if any), save, then log_metrics and save at each write, finalize at the
// end. A logger makes its folder and files as late as Lightning's does. Errors (disk full) are
// exceptions that name the file. Thread rule: one strand only (the training thread).
class Logger {
 public:
  virtual ~Logger() = default;

  // "lightning_logs"; "" drops the directory level.
  virtual std::string name() const = 0;

  // An integer N stands for the folder "version_N", a string for itself.
  virtual std::variant<std::int64_t, std::string> version() = 0;

  // Root of everything this logger writes, as given by the user.
  virtual std::string save_dir() const = 0;

  // Folder of this run, e.g. "lightning_logs/version_0"; "" when the logger has none.
  virtual std::string log_dir() = 0;

  // Settles the version and opens what the logger needs before training starts.
  virtual void start() {}

  // All values share one step. Order is the order of first logging.
  virtual void log_metrics(std::span<const LoggedMetric> metrics, std::int64_t step) = 0;

  virtual void log_hyperparams(const checkpoint::Dict& hparams) = 0;

  // A ModelCheckpoint is about to take the state for a file. What this returns, if anything, is
  // called on another thread when the file is whole, before anything else happens to it.
  virtual std::function<void()> before_save_checkpoint(const SavedCheckpoint& /*saved*/) {
    return nullptr;
  }
  // A ModelCheckpoint wrote / removed a file: some batches ago perhaps, in the order of
  // before_save_checkpoint().
  virtual void after_save_checkpoint(const SavedCheckpoint& /*saved*/) {}
  virtual void after_remove_checkpoint(std::string_view /*path*/) {}

  // Makes everything logged so far visible to readers.
  virtual void save() {}

  // "success" or "failed"; nothing is logged afterwards.
  virtual void finalize(std::string_view status) { static_cast<void>(status); }

  // False for loggers that are not the user's (they neither decide where checkpoints go nor count
  // as "a logger is configured").
  virtual bool is_user_logger() const { return true; }
};

// The folder name of a version: "version_3" or the string itself.
inline std::string version_folder(const std::variant<std::int64_t, std::string>& version) {
  if (const auto* number = std::get_if<std::int64_t>(&version))
    return "version_" + std::to_string(*number);
  return std::get<std::string>(version);
}

}  // namespace lctl
