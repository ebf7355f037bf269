#include "worker/trainer/program/run_job.h"

#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>

#include "jobspec/config.h"
#include "worker/trainer/callbacks/tensor_digest.h"
#include "worker/trainer/core/random.h"
#include "worker/trainer/factory/callbacks.h"
#include "worker/trainer/factory/data_modules.h"
#include "worker/trainer/factory/loggers.h"
#include "worker/trainer/factory/optimizers.h"
#include "worker/trainer/factory/profilers.h"
#include "worker/trainer/factory/trainer_options.h"
#include "worker/trainer/models/factory.h"
#include "worker/trainer/program/rank_process.h"
#include "worker/trainer/program/tune_job.h"

namespace lctl {
namespace {

constexpr const char* kProgram = "lctl-trainer";

jobspec::Config read_configuration(const CommandLine& line) {
  jobspec::ParseOptions options;
  options.overrides = line.overrides;
  options.command = line.command;
  options.environment = [](const char* name) -> const char* { return std::getenv(name); };
  auto config = jobspec::parse_file(line.config_file, options);
  if (!config.ok()) throw BadConfiguration(std::string(config.status().message()));
  return *std::move(config);
}

// Everything between the configuration and the trainer, in the order of construction: members
// further down use those above. Thread rule: one strand only (the main thread).
class Session {
 public:
  explicit Session(const CommandLine& line) : line_(line) {}

  void prepare(const std::vector<std::string>& words) {
    process_.emplace(words);  // early: a spool is told of bad configurations too
    config_ = read_configuration(line_);
    options_ = trainer_options(config_.trainer);
    if (config_.profiler) options_.profiler = make_profiler(*config_.profiler);
    // An elastic job deals out its samples in the same way on one rank as on many.
    if (config_.job.has_elastic() && options_.strategy == "auto") options_.strategy = "ddp";
    process_->connect(options_);
    if (config_.job.has_elastic())
      options_.num_nodes = process_->world_size() / config_.job.resources().devices_per_node();
  }

  void run() {
    if (config_.seed_everything)
      seed_everything(*config_.seed_everything, /*workers=*/true, &process_->accelerator());
    std::unique_ptr<LightningDataModule> data;
    std::shared_ptr<TrainableModule> module;
    try {
      data = make_data_module(config_.data, batch_share(config_.job, process_->world_size()));
      module = make_model(config_.model, optimizer_factory());
      trainer_ = std::make_unique<Trainer>(process_->setup(
          options_, make_callbacks(config_.callbacks, options_, process_->is_rank_zero()),
          make_loggers(config_, options_)));
    } catch (const std::invalid_argument& error) {  // nothing but the configuration has spoken yet
      throw BadConfiguration(error.what());
    }
    ResumeFrom from = config_.ckpt_path;
    from.exact = config_.job.resume_mode() == v1::RESUME_MODE_EXACT;
    from = process_->resume_from(std::move(from));
    switch (line_.command) {
      case jobspec::Command::kFit:
        trainer_->fit(*module, data.get(), from);
        parameters_sha256_ = state_sha256(module->parameter_list());
        break;
      case jobspec::Command::kValidate:
        trainer_->validate(*module, data.get(), from);
        break;
      case jobspec::Command::kTest:
        trainer_->test(*module, data.get(), from);
        break;
      case jobspec::Command::kPredict:
        trainer_->predict(*module, data.get(), from);
        break;
      case jobspec::Command::kTune:
        tune(*trainer_, *module, *data, config_.tune);
        break;
    }
    process_->wait_for_ranks();
  }

  // Tells the spool how it ended. The module may be gone by now.
  void report(const Ending& ending) {
    if (process_) process_->report(ending, parameters_sha256_);
  }

  bool orchestrated() const { return process_ && process_->environment().orchestrated(); }

 private:
  OptimizerFactory optimizer_factory() const {
    if (!config_.optimizer) return nullptr;
    return [this](std::vector<at::Tensor> parameters) {
      return make_optimizers(config_.optimizer, config_.lr_scheduler, std::move(parameters));
    };
  }

  const CommandLine& line_;
  std::optional<RankProcess> process_;
  jobspec::Config config_;
  TrainerOptions options_;
  std::unique_ptr<Trainer> trainer_;
  std::string parameters_sha256_;
};

}  // namespace

ExitCode run_job(const CommandLine& line, const std::vector<std::string>& words) {
  signals::install();
  Session session(line);
  Ending ending;
  try {
    session.prepare(words);
    session.run();
  } catch (...) {
    ending = ending_of_current_exception(session.orchestrated());
  }
  try {
    session.report(ending);
  } catch (const std::exception& error) {
    print_ending({ExitCode::kFailed, error.what()}, kProgram);
    if (ending.code == ExitCode::kSucceeded) return ExitCode::kFailed;
  }
  print_ending(ending, kProgram);
  return ending.code;
}

}  // namespace lctl
