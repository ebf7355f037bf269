#include "worker/trainer/core/reset_seed.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cstdint>
#include <mutex>
#include <optional>

#include "worker/trainer/accelerators/accelerator.h"
#include "worker/trainer/core/random.h"

namespace lctl {

void reset_seed(Accelerator& accelerator) {
  const std::optional<std::int64_t> seed = global_seed();
  if (!seed) return;
  {
    at::Generator generator = at::detail::getDefaultCPUGenerator();
    const std::lock_guard lock(generator.mutex());
    generator.set_current_seed(static_cast<std::uint64_t>(*seed));
  }
  accelerator.seed(static_cast<std::uint64_t>(*seed));
}

}  // namespace lctl
