#include "worker/trainer/core/random.h"

#include <ATen/CPUGeneratorImpl.h>

#include <charconv>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>

#include "worker/trainer/accelerators/accelerator.h"
#include "worker/trainer/core/console.h"

namespace lctl {
namespace {

// torch.manual_seed's lazy call on devices that nobody has touched yet. Main thread only.
std::optional<std::uint64_t> seed_for_accelerator;

}  // namespace

void seed_everything(std::int64_t seed, bool workers, Accelerator* accelerator) {
  if (seed < 0 || seed > 4294967295) {
    throw std::invalid_argument(std::to_string(seed) +
                                " is not in bounds, numpy accepts from 0 to 4294967295");
  }
  console::info("Seed set to " + std::to_string(seed));
  setenv("PL_GLOBAL_SEED", std::to_string(seed).c_str(), 1);
  setenv("PL_SEED_WORKERS", workers ? "1" : "0", 1);
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  {
    const std::lock_guard lock(generator.mutex());
    generator.set_current_seed(static_cast<std::uint64_t>(seed));
  }
  seed_for_accelerator = static_cast<std::uint64_t>(seed);
  if (accelerator != nullptr) seed_accelerator(*accelerator);
}

void seed_accelerator(Accelerator& accelerator) {
  if (seed_for_accelerator) accelerator.seed(*seed_for_accelerator);
  seed_for_accelerator.reset();
}

std::optional<std::int64_t> global_seed() {
  const char* text = std::getenv("PL_GLOBAL_SEED");
  if (text == nullptr || *text == '\0') return std::nullopt;
  const std::string_view view(text);
  std::int64_t seed = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), seed);
  if (error != std::errc() || end != view.data() + view.size()) {
    throw std::invalid_argument("Invalid seed specified via PL_GLOBAL_SEED: '" + std::string(view) +
                                "'");
  }
  return seed;
}

GeneratorStates generator_states(const Accelerator* accelerator) {
  GeneratorStates states;
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard lock(generator.mutex());
  states.cpu = generator.get_state();
  if (accelerator != nullptr) states.devices = accelerator->generator_states();
  return states;
}

void set_generator_states(const GeneratorStates& states, Accelerator* accelerator) {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard lock(generator.mutex());
  generator.set_state(states.cpu);
  if (accelerator != nullptr && !states.devices.empty())
    accelerator->set_generator_states(states.devices);
}

}  // namespace lctl
