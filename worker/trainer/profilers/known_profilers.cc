#include "worker/trainer/profilers/known_profilers.h"

#include <algorithm>
#include <cctype>
#include <string>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/profilers/advanced_profiler.h"
#include "worker/trainer/profilers/pytorch_profiler.h"
#include "worker/trainer/profilers/simple_profiler.h"

namespace lctl {

std::shared_ptr<Profiler> make_profiler(std::string_view name) {
  std::string small(name);
  std::transform(small.begin(), small.end(), small.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (small == "simple") return std::make_shared<SimpleProfiler>();
  if (small == "advanced") return std::make_shared<AdvancedProfiler>();
  if (small == "pytorch") return std::make_shared<PyTorchProfiler>();
  if (small == "xla") {
    throw MisconfigurationException(
        "profiler: xla is known to Lightning but not available in this version of lctl; available: "
        "simple, advanced, pytorch");
  }
  throw MisconfigurationException(
      "When passing string value for the `profiler` parameter of `Trainer`, it can only be one of "
      "['simple', 'advanced', 'pytorch', 'xla']");
}

}  // namespace lctl
