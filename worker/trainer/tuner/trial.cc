#include "worker/trainer/tuner/trial.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "worker/trainer/core/console.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

// Unique among the runs that share a folder.
std::string hidden_path(Trainer& trainer, std::string_view name) {
  const auto now = trainer.clock().monotonic_now().time_since_epoch().count();
  const std::string path = (std::filesystem::path(trainer.default_root_dir()) /
                            fmt::format(".{}_{}_{}.ckpt", name, getpid(), now))
                               .string();
  return trainer.strategy().broadcast(path);
}

}  // namespace

Trial::Trial(Trainer& trainer, std::string_view name)
    : trainer_(trainer), path_(hidden_path(trainer, name)), options_(trainer.options()) {
  trainer_.save_checkpoint(path_);
  counters_ = trainer_.progress().fit.state_dict();
  callbacks_ = std::exchange(trainer_.callbacks(), {});
  loggers_ = trainer_.logger_connector().loggers();
  trainer_.logger_connector().set_loggers({});
}

Trial::~Trial() {
  if (!restored_) {
    try {
      // Where one rank failed the others may be elsewhere: nothing that waits for them.
      trainer_.strategy().is_distributed() ? give_back() : restore();
    } catch (const std::exception& error) {
      console::warn(
          fmt::format("tuner: cannot restore the state from before the search: {}", error.what()));
    }
  }
  trainer_.remove_checkpoint(path_);
}

void Trial::use_callback(std::shared_ptr<Callback> callback) {
  trainer_.callbacks() = {std::move(callback)};
}

void Trial::restore_counters() {
  trainer_.fit_loop().load_counters(counters_);
  trainer_.state().should_stop = false;
  trainer_.state().stage = Stage::kTrain;
}

void Trial::run() {
  restore_counters();
  trainer_.logger_connector().forget_batch();  // of a trial that failed
  trainer_.fit_loop().run();
}

void Trial::reload_data(bool reload_validation) {
  FitLoop& loop = trainer_.fit_loop();
  loop.forget_data();
  loop.setup_data();
  if (reload_validation) loop.val_loop().setup_data();
}

void Trial::give_back() {
  if (std::exchange(given_back_, true)) return;
  trainer_.options() = options_;
  trainer_.callbacks() = std::move(callbacks_);
  trainer_.logger_connector().set_loggers(std::move(loggers_));
  trainer_.logger_connector().forget_batch();
  restore_counters();
}

void Trial::restore() {
  restored_ = true;
  give_back();
  trainer_.restore(path_);
  trainer_.strategy().barrier();  // all have read the file
}

}  // namespace lctl
