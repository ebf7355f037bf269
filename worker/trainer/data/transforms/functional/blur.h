// torchvision.transforms.v2.functional.gaussian_blur, for tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include "worker/trainer/data/transforms/functional/resize.h"

namespace lctl::transforms::functional {

// `kernel`: odd. Throws BadSample for an image that is smaller than half of it.
at::Tensor gaussian_blur(const at::Tensor& image, Extent kernel, double sigma);

}  // namespace lctl::transforms::functional
