// A process group whose collectives are counted in the rank's pulse.
#pragma once

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include <vector>

#include "worker/pulse/pulse.h"

namespace lctl {

// Whoever asks, the Reducer too: all ranks ask in the same order, so the one that has begun fewer
// has not reached what the others wait in. Counts those that data parallel training uses. Thread
// rule: that of c10d::ProcessGroup.
class CountedProcessGroup final : public c10d::ProcessGroup {
 public:
  using ProcessGroup::ProcessGroup;
  using WorkPointer = c10::intrusive_ptr<c10d::Work>;

  WorkPointer broadcast(std::vector<at::Tensor>& tensors,
                        const c10d::BroadcastOptions& options) override {
    pulse::collective_begins(pulse::Collective::kBroadcast);
    return ProcessGroup::broadcast(tensors, options);
  }
  WorkPointer allreduce(std::vector<at::Tensor>& tensors,
                        const c10d::AllreduceOptions& options) override {
    pulse::collective_begins(pulse::Collective::kAllReduce);
    return ProcessGroup::allreduce(tensors, options);
  }
  WorkPointer allgather(std::vector<std::vector<at::Tensor>>& outputs,
                        std::vector<at::Tensor>& inputs,
                        const c10d::AllgatherOptions& options) override {
    pulse::collective_begins(pulse::Collective::kAllGather);
    return ProcessGroup::allgather(outputs, inputs, options);
  }
  WorkPointer barrier(const c10d::BarrierOptions& options) override {
    pulse::collective_begins(pulse::Collective::kBarrier);
    return ProcessGroup::barrier(options);
  }
};

}  // namespace lctl
