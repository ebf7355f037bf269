#include "worker/trainer/trainer/torch_flags.h"

#include <ATen/Context.h>

#include <cstdlib>
#include <optional>

namespace lctl {

void set_torch_flags(const TrainerOptions& options) {
  at::Context& context = at::globalContext();
  const bool warn = options.deterministic == Determinism::kWarn;
  const bool on = options.deterministic == Determinism::kOn || warn;
  std::optional<bool> benchmark = options.benchmark;
  if (on && !benchmark) benchmark = false;
  if (benchmark) context.setBenchmarkCuDNN(*benchmark);
  if (options.deterministic != Determinism::kUntouched)
    context.setDeterministicAlgorithms(on, /*warn_only=*/warn);
  // cuBLAS is only reproducible with a fixed workspace (its manual, "Results Reproducibility").
  if (on) setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 1);
}

}  // namespace lctl
