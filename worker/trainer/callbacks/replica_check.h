// ReplicaCheck: ranks that should hold the same parameters do.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "worker/trainer/callbacks/callback.h"

namespace lctl {

// Every so many steps the ranks compare digests of their parameters; when they differ all of them
// fail, in words that name the ranks and the first parameter. A device that computes wrongly, or a
// rank that trains on without its gradients averaged, is noticed by nothing else. Costs a copy to
// the host and a SHA-256 of all parameters each time (about 1 GB/s), and a collective. Does nothing
// in a run of one rank. Thread rule: one strand only (the training thread).
class ReplicaCheck final : public Callback {
 public:
  // Throws MisconfigurationException unless `every_n_steps` is at least 1.
  explicit ReplicaCheck(std::int64_t every_n_steps = 1000);

  std::string type_name() const override { return "ReplicaCheck"; }
  void on_train_batch_end(Trainer& trainer, TrainableModule& module, const StepOutput& output,
                          const Batch& batch, std::int64_t batch_idx) override;

 private:
  const std::int64_t every_n_steps_;
  std::int64_t checked_at_ = 0;  // steps that accumulate gradients come several times
};

// "ranks 2, 5 differ from the others first in 'layers.0.weight', and in 3 more of 8 parameters".
// `digests` by rank: one of 64 digits for each name, joined. The others are those most ranks agree
// with, of equally many those of rank 0.
std::string describe_divergence(std::span<const std::string> names,
                                std::span<const std::string> digests);

}  // namespace lctl
