// What the outside asks of a running trainer: stop, and safety checkpoints now and then.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>

#include "base/clock.h"
#include "worker/trainer/loops/fit_progress.h"
#include "worker/trainer/loops/loop_context.h"
#include "worker/trainer/strategies/boundary_agreement.h"

namespace lctl {

// The run ended because it was asked to, after writing its stop checkpoint. Not a failure.
class StopRequested : public std::runtime_error {
 public:
  StopRequested() : std::runtime_error("stopped on request after writing a checkpoint") {}
};

// Installs the SIGTERM handler (a flag, passed on to child ranks) and remembers children.
// Thread rule: the functions belong to the main thread; the handler only sets flags and calls
// kill(2).
namespace signals {
void install();
bool sigterm_received();
void forward_to(int child_pid);  // at most 1024 children
void raise_sigterm_flag();       // as if the signal had come (tests)
void clear();                    // forgets flag and children (tests)
}  // namespace signals

// Without orchestration SIGTERM does what it does in Lightning. Under an agent it means: agree with
// the other ranks on a batch, write a stop checkpoint there and leave. Thread rule: one strand only
// (the training thread).
class RunControl final : public RunRequests {
 public:
  struct Options {
    bool orchestrated = false;  // checkpoints go to a stage folder, SIGTERM is cooperative
    std::int64_t checkpoint_every_ms = 0;  // 0 = no recovery checkpoints
  };
  using Save = std::function<void(BoundaryAction)>;

  RunControl(Options options, const Clock& clock) : options_(options), clock_(clock) {}

  // From now on boundaries are served. `save` writes the checkpoint (on all ranks together).
  void begin_fit(std::unique_ptr<BoundaryAgreement> agreement, const FitProgress& progress,
                 bool rank_zero, Save save);
  void end_fit();

  bool orchestrated() const { return options_.orchestrated; }
  bool leave_now() const override {
    return signals::sigterm_received() && !(options_.orchestrated && agreement_);
  }
  void at_boundary() override;

 private:
  const Options options_;
  const Clock& clock_;
  std::unique_ptr<BoundaryAgreement> agreement_;
  const FitProgress* progress_ = nullptr;
  bool rank_zero_ = true;
  Save save_;
  MonotonicTime last_checkpoint_{};
};

}  // namespace lctl
