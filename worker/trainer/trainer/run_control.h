// What the outside asks of a running trainer: stop, and safety checkpoints now and then.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>

#include "base/clock.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/signals.h"
#include "worker/trainer/loops/fit_progress.h"
#include "worker/trainer/loops/loop_context.h"
#include "worker/trainer/strategies/boundary_agreement.h"

namespace lctl {

// The run ended because it was asked to, after writing its stop checkpoint. Not a failure.
class StopRequested : public std::runtime_error {
 public:
  StopRequested() : std::runtime_error("stopped on request after writing a checkpoint") {}
};

// Without orchestration SIGTERM does what it does in Lightning. Under an agent it means: agree with
// the other ranks on a batch, write a stop checkpoint there and leave. Under SLURM SIGUSR1 means:
// agree on a batch, save there, and go on. Thread rule: one strand only
// (the training thread).
class RunControl final : public RunRequests {
 public:
  struct Options {
    bool orchestrated = false;  // checkpoints go to a stage folder, SIGTERM is cooperative
    std::int64_t checkpoint_every_ms = 0;  // 0 = no recovery checkpoints
    bool requeues = false;                 // not orchestrated, but SIGUSR1 asks for a checkpoint
  };
  using Save = std::function<void(BoundaryAction)>;

  RunControl(Options options, const Clock& clock) : options_(options), clock_(clock) {}

  // From now on boundaries are served. `save` writes the checkpoint (on all ranks together).
  void begin_fit(std::unique_ptr<BoundaryAgreement> agreement, const FitProgress& progress,
                 bool rank_zero, Save save);
  void end_fit();

  bool orchestrated() const { return options_.orchestrated; }
  void leave_if_asked() const override {
    if (signals::ends_run()) signals::throw_received();
  }
  void at_boundary() override;

 private:
  void ask_for_orchestrator();

  const Options options_;
  const Clock& clock_;
  std::unique_ptr<BoundaryAgreement> agreement_;
  const FitProgress* progress_ = nullptr;
  bool rank_zero_ = true;
  Save save_;
  MonotonicTime last_checkpoint_{};
};

}  // namespace lctl
