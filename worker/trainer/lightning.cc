// Trainer for programs of one's own: from Lightning's arguments to the parts of a run.
#include <filesystem>

#include "worker/trainer/connectors/callback_connector.h"
#include "worker/trainer/core/random.h"
#include "worker/trainer/loggers/tensorboard_logger.h"
#include "worker/trainer/precision/precision.h"
#include "worker/trainer/profilers/known_profilers.h"
#include "worker/trainer/program/rank_process.h"
#include "worker/trainer/program/user_program.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

std::vector<std::shared_ptr<Logger>> loggers_of(const TrainerOptions& options) {
  if (options.barebones || !options.logger.use_default) return options.logger.loggers;
  TensorBoardLogger::Options tensorboard;
  tensorboard.save_dir = options.default_root_dir.empty() ? std::filesystem::current_path().string()
                                                          : options.default_root_dir;
  return {std::make_shared<TensorBoardLogger>(std::move(tensorboard))};
}

Trainer::Setup assemble(TrainerOptions options) {
  options.precision = canonical_precision(options.precision);
  options = settle_options(std::move(options));
  if (!options.profiler.name.empty()) options.profiler = make_profiler(options.profiler.name);
  RankProcess& process = this_process();
  process.connect(options);
  seed_accelerator(process.accelerator());
  std::vector<std::shared_ptr<Callback>> callbacks = complete_callbacks(options.callbacks, options);
  std::vector<std::shared_ptr<Logger>> loggers = loggers_of(options);
  options.callbacks.clear();
  options.logger.loggers.clear();
  return process.setup(std::move(options), std::move(callbacks), std::move(loggers));
}

}  // namespace

Trainer::Trainer(TrainerOptions options) : Trainer(assemble(std::move(options))) {}

}  // namespace lctl
