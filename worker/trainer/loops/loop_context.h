// The parts that the loops work with. Each loop gets these references, not the trainer.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "worker/trainer/checkpoint/background_writer.h"
#include "worker/trainer/connectors/data_connector.h"
#include "worker/trainer/connectors/logger_connector.h"
#include "worker/trainer/core/optimizers_config.h"
#include "worker/trainer/loops/fit_progress.h"
#include "worker/trainer/precision/precision.h"
#include "worker/trainer/strategies/strategy.h"
#include "worker/trainer/trainer/hook_caller.h"
#include "worker/trainer/trainer/options.h"
#include "worker/trainer/trainer/run_state.h"

namespace lctl {

class Accelerator;

// What the outside has asked for. Asked between batches; the answers must cost nothing when there
// is nothing to do.
class RunRequests {
 public:
  virtual ~RunRequests() = default;
  // Does not return (SigtermException, KeyboardInterrupt) when such a signal came and Lightning's
  // own behaviour applies: leave at the next opportunity.
  virtual void leave_if_asked() const = 0;
  // Gradients are complete, all hooks have run: a place for a safety or stop checkpoint. May not
  // return (StopRequested).
  virtual void at_boundary() = 0;
};

// References outlive the loops. Thread rule: one strand only (the training thread).
struct LoopContext {
  TrainerOptions& options;  // accumulate_grad_batches may be changed by a callback
  RunState& state;
  TrainerProgress& progress;
  HookCaller& hooks;
  LoggerConnector& logs;
  Strategy& strategy;
  Precision& precision;
  DataConnector& data;
  OptimizersConfig& optimizers;
  checkpoint::BackgroundWriter& checkpoints;
  RunRequests& requests;
  Accelerator& accelerator;
  const Clock& clock;
};

}  // namespace lctl
