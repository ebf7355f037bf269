// Training for a few steps inside on_fit_start, after which everything is as it was.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/checkpoint/value.h"
#include "worker/trainer/loggers/logger.h"
#include "worker/trainer/trainer/options.h"

namespace lctl {

class Trainer;

// Saves the whole state to a hidden checkpoint, takes callbacks and loggers away, and gives all
// back in give_back() and restore(), or when it is destroyed because a trial failed (with several
// ranks all but the weights: the run is over). Collective.
// Thread rule: one strand only (the training thread).
class Trial {
 public:
  // `name`: of the hidden file, "<default_root_dir>/.<name>_<unique>.ckpt".
  Trial(Trainer& trainer, std::string_view name);
  ~Trial();
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  // Instead of the user's callbacks.
  void use_callback(std::shared_ptr<Callback> callback);

  // The fit loop from the counters of the beginning.
  void run();

  // `reload_validation`: whether its loaders are made anew at once, too.
  void reload_data(bool reload_validation);

  // Options, callbacks, loggers and counters.
  void give_back();
  // All that, weights, optimizer and schedulers.
  void restore();

 private:
  void restore_counters();

  Trainer& trainer_;
  std::string path_;
  const TrainerOptions options_;
  std::vector<std::shared_ptr<Callback>> callbacks_;
  std::vector<std::shared_ptr<Logger>> loggers_;
  checkpoint::Dict counters_;
  bool given_back_ = false;
  bool restored_ = false;
};

}  // namespace lctl
