// Seeds and generator states: what makes a run repeatable.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace lctl {

class Accelerator;

// Lightning's seed_everything(seed, workers): seeds torch's generators, and sets PL_GLOBAL_SEED and
// PL_SEED_WORKERS so that child ranks and loader workers follow. Before there is an accelerator
// (null) its generators' seed is kept for seed_accelerator().
// Throws std::invalid_argument for a seed outside 0..4294967295.
void seed_everything(std::int64_t seed, bool workers = false, Accelerator* accelerator = nullptr);

// Seeds a new accelerator if seed_everything has been called since the one before it.
void seed_accelerator(Accelerator& accelerator);

// PL_GLOBAL_SEED, if set by an earlier seed_everything (of this process or its parent).
// Throws std::invalid_argument when it is no number.
std::optional<std::int64_t> global_seed();

// States of the CPU's generator (first) and of the accelerator's.
struct GeneratorStates {
  at::Tensor cpu;  // uint8
  std::vector<at::Tensor> devices;
};

GeneratorStates generator_states(const Accelerator* accelerator);
void set_generator_states(const GeneratorStates& states, Accelerator* accelerator);

// Undoes all draws made during its life. Thread rule: one strand only.
class RandomIsolation {
 public:
  explicit RandomIsolation(Accelerator* accelerator)
      : accelerator_(accelerator), before_(generator_states(accelerator)) {}
  ~RandomIsolation() { set_generator_states(before_, accelerator_); }
  RandomIsolation(const RandomIsolation&) = delete;
  RandomIsolation& operator=(const RandomIsolation&) = delete;

 private:
  Accelerator* accelerator_;
  GeneratorStates before_;
};

}  // namespace lctl
