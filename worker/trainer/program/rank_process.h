// One process of a run: its place among the ranks, its device, and its ties to what started it (an
// agent, torchrun, another rank, or a person).
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/loggers/spool_logger.h"
#include "worker/trainer/program/environment.h"
#include "worker/trainer/program/exit_code.h"
#include "worker/trainer/trainer/launcher.h"
#include "worker/trainer/trainer/run_control.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {

// In order: the constructor reads the environment and opens the spool; connect() chooses device and
// ranks; setup() makes what a Trainer needs, for one trainer after another. Must outlive the
// trainers. Thread rule: one strand only (the main thread).
class RankProcess {
 public:
  // `words` is the whole command line: further local ranks are started with it. Throws
  // std::invalid_argument that names a variable of the environment.
  explicit RankProcess(std::vector<std::string> words);
  ~RankProcess();

  // Opens the accelerator, joins or starts the ranks. Once for each trainer; ranks are started by
  // the first call only, and a later one that asks for another number of devices is refused. Throws
  // MisconfigurationException in Lightning's words.
  void connect(const TrainerOptions& options);

  // After connect(). `options` are settled, `callbacks` complete. The spool's own logger and
  // callback are added.
  Trainer::Setup setup(TrainerOptions options, std::vector<std::shared_ptr<Callback>> callbacks,
                       std::vector<std::shared_ptr<Logger>> loggers);

  // Waits for the further ranks that this process has started. Throws std::runtime_error when one
  // failed.
  void wait_for_ranks();

  // Tells the spool how it ended; does nothing without one. The trainers may be gone by now.
  void report(const Ending& ending, const std::string& parameters_sha256);

  const LaunchEnvironment& environment() const { return environment_; }
  // Where a fit continues: the agent's checkpoint, else `given`.
  ResumeFrom resume_from(ResumeFrom given) const;
  bool is_rank_zero() const { return rank_ == 0; }
  int world_size() const { return world_size_; }
  Accelerator& accelerator() { return *accelerator_; }

 private:
  void keep_pulse() const;
  void open_spool();
  void add_spool(Trainer::Setup& setup);
  LaunchedRank start_local_ranks(const TrainerOptions& options, std::size_t devices);

  std::vector<std::string> words_;
  LaunchEnvironment environment_;
  std::optional<LaunchedRank> launched_;  // by somebody else, or set by the first connect()
  std::optional<LocalRanks> local_ranks_;
  int rank_ = 0;
  int world_size_ = 1;
  c10::Device device_{c10::DeviceType::CPU};
  std::unique_ptr<Accelerator> accelerator_;
  std::unique_ptr<Strategy> strategy_;
  std::shared_ptr<SpoolReporter> reporter_;
  std::shared_ptr<SpoolCallback> progress_;
  std::vector<std::unique_ptr<RunControl>> controls_;  // one for each trainer
};

}  // namespace lctl
