#include "worker/trainer/program/rank_process.h"

#include <fmt/format.h>

#include <cstdlib>
#include <stdexcept>

#include "base/clock.h"
#include "base/status.h"
#include "worker/pulse/pulse.h"
#include "worker/trainer/accelerators/accelerator.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/program/devices.h"
#include "worker/trainer/program/pulse_callback.h"
#include "worker/trainer/program/rank_environment.h"
#include "worker/trainer/program/stack_dump.h"
#include "worker/trainer/trainer/slurm.h"

namespace lctl {
namespace {

void check_world_size(const TrainerOptions& options, std::size_t devices, int world_size) {
  const bool given = options.devices.index() != 0;
  if (!given || static_cast<std::int64_t>(devices) * options.num_nodes == world_size) return;
  throw BadConfiguration(
      fmt::format("You set `devices={0}` and `num_nodes={1}` in Lightning, but the product ({0} * "
                  "{1}) does not match the world size ({2}).",
                  devices, options.num_nodes, world_size));
}

// On SIGUSR1, before SLURM takes the node away: `hpc_ckpt_<n>.ckpt`, from which the requeued job
// goes on.
void save_and_requeue(Trainer& trainer, BoundaryAction /*action*/) {
  console::info("Handling auto-requeue signal: 10");
  for (const auto& logger : trainer.logger_connector().loggers()) logger->save();
  const std::string folder = trainer.default_root_dir();
  const std::int64_t number = newest_hpc_checkpoint(folder).value_or(0) + 1;
  trainer.save_checkpoint(trainer.strategy().broadcast(hpc_checkpoint_path(folder, number)));
  if (trainer.is_global_zero()) requeue_job();
}

v1::Finished::Outcome outcome_of(ExitCode code) {
  switch (code) {
    case ExitCode::kSucceeded:
      return v1::Finished::OUTCOME_SUCCEEDED;
    case ExitCode::kStopped:
      return v1::Finished::OUTCOME_STOPPED;
    case ExitCode::kBadConfiguration:
      return v1::Finished::OUTCOME_BAD_SPEC;
    case ExitCode::kRollBack:
      return v1::Finished::OUTCOME_ROLL_BACK;
    case ExitCode::kUnreadableCheckpoint:
      return v1::Finished::OUTCOME_UNREADABLE_CHECKPOINT;
    case ExitCode::kFailed:
    case ExitCode::kTerminated:
      break;
  }
  return v1::Finished::OUTCOME_FAILED;
}

}  // namespace

RankProcess::RankProcess(std::vector<std::string> words)
    : words_(std::move(words)),
      environment_(LaunchEnvironment::read()),
      launched_(launched_rank()) {
  if (launched_) {
    rank_ = launched_->layout.global_rank;
    world_size_ = launched_->layout.world_size;
    console::set_rank(rank_);
    if (world_size_ > 1) launched_->rendezvous.shared = make_shared_store();
  }
  if (!environment_.orchestrated()) signals::watch_interrupt(/*say=*/rank_ == 0);
  keep_pulse();
  open_spool();
}

RankProcess::~RankProcess() = default;

void RankProcess::keep_pulse() const {
  if (environment_.pulse.empty()) return;
  const absl::Status kept = pulse::keep(environment_.pulse);
  if (kept.ok()) {
    stacks::watch();
  } else {
    console::warn(
        fmt::format("{}: its node daemon will not notice when this rank hangs", message_of(kept)));
  }
}

void RankProcess::open_spool() {
  if (environment_.spool.empty()) return;
  SpoolReporter::Options options;
  options.spool = environment_.spool;
  options.stage = environment_.stage;
  options.rank = rank_;
  options.world_size = world_size_;
  reporter_ = std::make_shared<SpoolReporter>(std::move(options));
}

void RankProcess::connect(const TrainerOptions& options) {
  accelerator_ = open_accelerator(options, environment_.device);
  log_device_info(*accelerator_);
  if (!environment_.orchestrated()) warn_of_unused_srun(words_.empty() ? "" : words_.front());
  // An agent has chosen the device: what the configuration says of devices is its business.
  const bool assigned = launched_ && !environment_.device.empty();
  std::vector<int> devices;
  if (!assigned) devices = choose_devices(options, *accelerator_);
  if (!launched_) {
    launched_ = start_local_ranks(options, devices.size());
  } else if (!assigned) {
    check_world_size(options, devices.size(), launched_->layout.world_size);
  }
  const RankLayout& layout = launched_->layout;
  rank_ = layout.global_rank;
  world_size_ = layout.world_size;
  int index = 0;
  if (environment_.device.starts_with("cuda:")) {
    index = std::atoi(environment_.device.c_str() + 5);
  } else if (static_cast<std::size_t>(layout.local_rank) < devices.size()) {
    index = devices[static_cast<std::size_t>(layout.local_rank)];
  }
  if (index >= accelerator_->device_count() && accelerator_->name() != "cpu") {
    throw BadConfiguration(fmt::format("LCTL_DEVICE={}: this process sees only {} devices",
                                       environment_.device, accelerator_->device_count()));
  }
  device_ = accelerator_->device(index);
  if (reporter_) reporter_->set_device(device_.str(), rank_environment(*accelerator_, device_));
  if (world_size_ == 1) {
    strategy_ = make_single_device_strategy(device_);
    return;
  }
  DdpOptions ddp;
  ddp.find_unused_parameters =
      options.strategy.find("find_unused_parameters_true") != std::string::npos;
  strategy_ = make_ddp_strategy(*accelerator_, device_, layout, launched_->rendezvous, ddp);
}

LaunchedRank RankProcess::start_local_ranks(const TrainerOptions& options, std::size_t devices) {
  if (options.num_nodes > 1) {
    throw BadConfiguration(
        "`num_nodes` > 1 needs a launcher that starts the ranks on every node (lctl submit, "
        "torchrun)");
  }
  if (devices == 1) return {};
  local_ranks_.emplace(static_cast<int>(devices), words_);
  LaunchedRank zero = local_ranks_->rank_zero();
  zero.rendezvous.shared = make_shared_store();
  return zero;
}

Trainer::Setup RankProcess::setup(TrainerOptions options,
                                  std::vector<std::shared_ptr<Callback>> callbacks,
                                  std::vector<std::shared_ptr<Logger>> loggers) {
  RunControl::Options control;
  control.orchestrated = environment_.orchestrated();
  control.checkpoint_every_ms = environment_.checkpoint_every_ms;
  control.requeues = !environment_.orchestrated() && requeues_itself();
  controls_.push_back(std::make_unique<RunControl>(control, system_clock()));
  Trainer::Setup setup;
  setup.callbacks = std::move(callbacks);
  setup.loggers = std::move(loggers);
  if (reporter_) add_spool(setup);
  if (!environment_.pulse.empty()) {
    setup.callbacks.insert(setup.callbacks.begin(), std::make_shared<PulseCallback>());
  }
  if (control.requeues) {
    signals::watch_requeue();
    console::info("SLURM auto-requeueing enabled. Setting signal handlers.");
    setup.save_for_orchestrator = save_and_requeue;
  }
  setup.options = std::move(options);
  setup.accelerator = std::move(accelerator_);
  setup.strategy = std::move(strategy_);
  setup.control = controls_.back().get();
  return setup;
}

void RankProcess::add_spool(Trainer::Setup& setup) {
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
    const pulse::Within saving(pulse::Phase::kSaving);
    const std::string path = reporter->path_for(action, trainer.global_step());
    const std::uint64_t offset = reporter->offset();
    trainer.save_checkpoint_in_background(
        path, /*weights_only=*/false, /*then=*/nullptr,
        [=, step = trainer.global_step(), epoch = trainer.current_epoch()] {
          reporter->orchestrated_checkpoint(action, path, step, epoch, offset);
        });
    if (action == BoundaryAction::kStop) trainer.finish_checkpoints();
  };
}

void RankProcess::wait_for_ranks() {
  if (!local_ranks_) return;
  if (const int code = local_ranks_->wait(); code != 0)
    throw std::runtime_error(fmt::format("another rank ended with exit code {}", code));
}

ResumeFrom RankProcess::resume_from(ResumeFrom given) const {
  if (environment_.resume_checkpoint.empty()) return given;
  given.path = environment_.resume_checkpoint;
  given.orchestrated = true;
  return given;
}

void RankProcess::report(const Ending& ending, const std::string& parameters_sha256) {
  pulse::enter(pulse::Phase::kEnding);
  if (!reporter_) return;
  v1::Finished finished;
  finished.set_outcome(outcome_of(ending.code));
  finished.set_message(ending.message);
  finished.set_global_step(progress_ ? progress_->global_step() : 0);
  finished.set_epoch(progress_ ? progress_->epoch() : 0);
  finished.set_parameters_sha256(parameters_sha256);
  if (ending.roll_back) {
    finished.set_roll_back_before(ending.roll_back->before());
    finished.set_max_roll_backs(static_cast<int>(ending.roll_back->max_roll_backs()));
    for (const BatchPlace& place : ending.roll_back->skip()) {
      v1::BatchPlace& skip = *finished.add_skip_batches();
      skip.set_epoch(place.epoch);
      skip.set_batch(place.batch);
    }
  }
  if (ending.code == ExitCode::kSucceeded)
    reporter_->ready(progress_ ? progress_->resumed_at_step() : 0);
  reporter_->finished(std::move(finished));
}

}  // namespace lctl
