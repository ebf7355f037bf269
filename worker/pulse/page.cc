#include "worker/pulse/page.h"

#include <csignal>

namespace lctl::pulse {

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::kStarting:
      return "starting";
    case Phase::kTraining:
      return "training";
    case Phase::kValidating:
      return "validating";
    case Phase::kTesting:
      return "testing";
    case Phase::kPredicting:
      return "predicting";
    case Phase::kBetween:
      return "between epochs";
    case Phase::kSaving:
      return "saving a checkpoint";
    case Phase::kEnding:
      return "ending";
  }
  return "in an unknown phase";
}

std::string_view name_of(Collective kind) {
  switch (kind) {
    case Collective::kAllReduce:
      return "all_reduce";
    case Collective::kBroadcast:
      return "broadcast";
    case Collective::kAllGather:
      return "all_gather";
    case Collective::kBarrier:
      return "barrier";
    case Collective::kNone:
      break;
  }
  return "collective";
}

int dump_signal() { return SIGRTMIN + 12; }

}  // namespace lctl::pulse
