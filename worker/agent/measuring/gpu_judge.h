// Whether a GPU may be used, judged by the signs of its faults. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "worker/agent/measuring/gpu_library.h"

namespace lctl::agent {

// One GPU's. What does not mend itself stays a fault as long as the judge is there: an Xid error of
// the hardware or the driver, a memory error that ECC could not correct (new since the first look),
// a card that fell off the bus. Heat is a fault from the card's slowdown temperature until it is
// 5 degrees below. Thread rule: caller locks.
//
// Which Xid errors are an application's own is NVIDIA's list (its device plugin for Kubernetes,
// "Xid Errors" in its documentation); such a job fails by itself.
class GpuJudge {
 public:
  // Why it must not be used, one line; "" = it may. `xids`: those since the last call.
  std::string judge(const GpuSigns& signs, std::span<const std::uint64_t> xids);

 private:
  std::string for_good_;
  std::optional<std::uint64_t> first_errors_;
  bool hot_ = false;
};

}  // namespace lctl::agent
