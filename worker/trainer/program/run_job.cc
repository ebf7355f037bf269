#include "worker/trainer/program/run_job.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "jobspec/config.h"
#include "worker/trainer/callbacks/tensor_digest.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/random.h"
#include "worker/trainer/factory/callbacks.h"
#include "worker/trainer/factory/data_modules.h"
#include "worker/trainer/factory/loggers.h"
#include "worker/trainer/factory/optimizers.h"
#include "worker/trainer/factory/trainer_options.h"
#include "worker/trainer/loggers/spool_logger.h"
#include "worker/trainer/models/factory.h"
#include "worker/trainer/program/devices.h"
#include "worker/trainer/program/environment.h"
#include "worker/trainer/program/tune_job.h"
#include "worker/trainer/trainer/launcher.h"
#include "worker/trainer/trainer/run_control.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

// How a run ended.
struct Ending {
  ExitCode code = ExitCode::kSucceeded;
  std::string message;
};

// The configuration itself is at fault: whatever the data, it cannot work.
class BadConfiguration : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

std::string first_line(std::string text) {
  text.resize(std::min(text.find('\n'), text.size()));
  return text;
}

std::string joined_lines(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::replace(text.begin(), text.end(), '\t', ' ');
  return text;
}

// The one place where an exception becomes an exit code and a sentence.
Ending ending_of_current_exception(bool orchestrated) {
  try {
    throw;
  } catch (const StopRequested& stop) {
    return {ExitCode::kStopped, stop.what()};
  } catch (const SigtermException& stop) {
    return {orchestrated ? ExitCode::kStopped : ExitCode::kTerminated, stop.what()};
  } catch (const BadConfiguration& error) {
    return {ExitCode::kBadConfiguration, error.what()};
  } catch (const MisconfigurationException& error) {
    return {ExitCode::kBadConfiguration, joined_lines(error.what())};
  } catch (const c10::Error& error) {
    return {ExitCode::kFailed, first_line(error.what_without_backtrace())};
  } catch (const std::bad_alloc&) {
    return {ExitCode::kFailed, "out of memory"};
  } catch (const std::exception& error) {
    return {ExitCode::kFailed, joined_lines(error.what())};
  }
}

void print_error(const std::string& message) {
  const std::string line = "lctl-trainer: error: " + message + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

jobspec::Config read_configuration(const CommandLine& line) {
  jobspec::ParseOptions options;
  options.overrides = line.overrides;
  options.command = line.command;
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
    environment_ = LaunchEnvironment::read();
    const std::optional<LaunchedRank> launched = launched_rank();
    if (launched) console::set_rank(launched->layout.global_rank);
    rank_ = launched ? launched->layout.global_rank : 0;
    world_size_ = launched ? launched->layout.world_size : 1;
    open_spool();  // early: it is told of bad configurations too
    config_ = read_configuration(line_);
    options_ = trainer_options(config_.trainer);
    accelerator_ = open_accelerator(options_, environment_.device);
    join_ranks(launched, words);
    if (reporter_) reporter_->set_device(device_.str());
  }

  void run() {
    if (config_.seed_everything)
      seed_everything(*config_.seed_everything, /*workers=*/true, accelerator_.get());
    std::unique_ptr<LightningDataModule> data;
    std::shared_ptr<TrainableModule> module;
    try {
      data = make_data_module(config_.data);
      module = make_model(config_.model, optimizer_factory());
      make_trainer();
    } catch (const std::invalid_argument& error) {  // nothing but the configuration has spoken yet
      throw BadConfiguration(error.what());
    }
    ResumeFrom from;
    from.path =
        environment_.resume_checkpoint.empty() ? config_.ckpt_path : environment_.resume_checkpoint;
    from.exact = config_.job.resume_mode() == v1::RESUME_MODE_EXACT;
    from.orchestrated = !environment_.resume_checkpoint.empty();
    switch (line_.command) {
      case jobspec::Command::kFit:
        trainer_->fit(*module, data.get(), from);
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
    if (line_.command == jobspec::Command::kFit)
      parameters_sha256_ = state_sha256(module->parameter_list());
    if (ranks_) {
      if (const int code = ranks_->wait(); code != 0)
        throw std::runtime_error(fmt::format("another rank ended with exit code {}", code));
    }
  }

  // Tells the spool how it ended. The module may be gone by now.
  void report(const Ending& ending) {
    if (!reporter_) return;
    v1::Finished::Outcome outcome = v1::Finished::OUTCOME_FAILED;
    if (ending.code == ExitCode::kSucceeded) outcome = v1::Finished::OUTCOME_SUCCEEDED;
    if (ending.code == ExitCode::kStopped) outcome = v1::Finished::OUTCOME_STOPPED;
    if (ending.code == ExitCode::kBadConfiguration) outcome = v1::Finished::OUTCOME_BAD_SPEC;
    const std::int64_t step = trainer_ ? trainer_->global_step() : 0;
    const std::int64_t epoch = trainer_ ? trainer_->current_epoch() : 0;
    if (ending.code == ExitCode::kSucceeded)
      reporter_->ready(trainer_ ? trainer_->resumed_at_step() : 0);
    if (trainer_ && progress_) progress_->ended(*trainer_);
    reporter_->finished(outcome, ending.message, step, epoch, parameters_sha256_);
  }

  bool orchestrated() const { return environment_.orchestrated(); }
  bool is_rank_zero() const { return rank_ == 0; }

 private:
  OptimizerFactory optimizer_factory() const {
    if (!config_.optimizer) return nullptr;
    return [this](std::vector<at::Tensor> parameters) {
      return make_optimizers(config_.optimizer, config_.lr_scheduler, std::move(parameters));
    };
  }

  void join_ranks(const std::optional<LaunchedRank>& launched,
                  const std::vector<std::string>& words) {
    // An agent has chosen the device: what the configuration says of devices is its business.
    const bool assigned = launched && !environment_.device.empty();
    std::vector<int> devices;
    if (!assigned) devices = choose_devices(options_, *accelerator_);
    LaunchedRank rank;
    if (launched) {
      rank = *launched;
      if (!assigned) check_world_size(devices.size(), rank.layout.world_size);
    } else {
      rank = start_local_ranks(devices.size(), words);
    }
    rank_ = rank.layout.global_rank;
    world_size_ = rank.layout.world_size;
    int index = 0;
    if (environment_.device.starts_with("cuda:")) {
      index = std::atoi(environment_.device.c_str() + 5);
    } else if (static_cast<std::size_t>(rank.layout.local_rank) < devices.size()) {
      index = devices[static_cast<std::size_t>(rank.layout.local_rank)];
    }
    if (index >= accelerator_->device_count() && accelerator_->name() != "cpu") {
      throw BadConfiguration(fmt::format("LCTL_DEVICE={}: this process sees only {} devices",
                                         environment_.device, accelerator_->device_count()));
    }
    device_ = accelerator_->device(index);
    if (world_size_ == 1) {
      strategy_ = make_single_device_strategy(device_);
      return;
    }
    DdpOptions ddp;
    ddp.find_unused_parameters =
        options_.strategy.find("find_unused_parameters_true") != std::string::npos;
    strategy_ = make_ddp_strategy(*accelerator_, device_, rank.layout, rank.rendezvous, ddp);
  }

  void check_world_size(std::size_t devices, int world_size) const {
    const bool given = options_.devices.index() != 0;
    if (!given || static_cast<std::int64_t>(devices) * options_.num_nodes == world_size) return;
    throw BadConfiguration(fmt::format(
        "You set `devices={0}` and `num_nodes={1}` in Lightning, but the product ({0} * "
        "{1}) does not match the world size ({2}).",
        devices, options_.num_nodes, world_size));
  }

  LaunchedRank start_local_ranks(std::size_t devices, const std::vector<std::string>& words) {
    if (options_.num_nodes > 1) {
      throw BadConfiguration(
          "`num_nodes` > 1 needs a launcher that starts the ranks on every node (lctl submit, "
          "torchrun)");
    }
    if (devices == 1) return {};
    ranks_.emplace(static_cast<int>(devices), words);
    return ranks_->rank_zero();
  }

  void open_spool() {
    if (environment_.spool.empty()) return;
    SpoolReporter::Options options;
    options.spool = environment_.spool;
    options.stage = environment_.stage;
    options.rank = rank_;
    options.world_size = world_size_;
    reporter_ = std::make_shared<SpoolReporter>(std::move(options));
  }

  void make_trainer() {
    RunControl::Options control;
    control.orchestrated = environment_.orchestrated();
    control.checkpoint_every_ms = environment_.checkpoint_every_ms;
    control_ = std::make_unique<RunControl>(control, system_clock());
    Trainer::Setup setup;
    setup.callbacks = make_callbacks(config_.callbacks, options_, rank_ == 0);
    setup.loggers = make_loggers(config_, options_);
    if (reporter_) add_spool(setup);
    setup.options = options_;
    setup.accelerator = std::move(accelerator_);
    setup.strategy = std::move(strategy_);
    setup.control = control_.get();
    trainer_ = std::make_unique<Trainer>(std::move(setup));
  }

  void add_spool(Trainer::Setup& setup) {
    std::shared_ptr<SpoolLogger> logger;
    if (rank_ == 0) {
      logger = std::make_shared<SpoolLogger>(reporter_);
      setup.loggers.push_back(logger);
    }
    // First: readiness is told before anything else happens.
    progress_ = std::make_shared<SpoolCallback>(reporter_, logger);
    setup.callbacks.insert(setup.callbacks.begin(), progress_);
    if (!reporter_->has_stage()) return;
    setup.save_for_orchestrator = [reporter = reporter_](Trainer& trainer, BoundaryAction action) {
      const std::string path = reporter->path_for(action, trainer.global_step());
      const std::uint64_t offset = reporter->offset();
      trainer.save_checkpoint(path);
      if (trainer.is_global_zero()) {
        reporter->orchestrated_checkpoint(action, path, trainer.global_step(),
                                          trainer.current_epoch(), offset);
      }
    };
  }

  const CommandLine& line_;
  LaunchEnvironment environment_;
  int rank_ = 0;
  int world_size_ = 1;
  jobspec::Config config_;
  TrainerOptions options_;
  std::unique_ptr<Accelerator> accelerator_;
  std::optional<LocalRanks> ranks_;
  c10::Device device_{c10::DeviceType::CPU};
  std::unique_ptr<Strategy> strategy_;
  std::shared_ptr<SpoolReporter> reporter_;
  std::shared_ptr<SpoolCallback> progress_;
  std::unique_ptr<RunControl> control_;
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
    print_error(error.what());
    if (ending.code == ExitCode::kSucceeded) ending = {ExitCode::kFailed, ""};
  }
  if (ending.code == ExitCode::kStopped) {
    console::info(ending.message);
  } else if (ending.code != ExitCode::kSucceeded && !ending.message.empty()) {
    print_error(ending.message);
  }
  return ending.code;
}

}  // namespace lctl
