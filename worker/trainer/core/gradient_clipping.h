// Gradient clipping as torch.nn.utils does it.
#pragma once

#include <cstdint>

namespace lctl {

class Optimizer;

enum class ClipAlgorithm : std::uint8_t { kNorm, kValue };

// Over the gradients of all parameters in the optimizer's groups, in place. kNorm: scales all by
// clip_val / (2-norm + 1e-6), limited to 1, without waiting for the device. kValue: clamps each
// element.
void clip_gradients(Optimizer& optimizer, double clip_val, ClipAlgorithm algorithm);

}  // namespace lctl
