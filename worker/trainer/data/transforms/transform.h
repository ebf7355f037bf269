// Image transforms, as torchvision.transforms.v2 has them.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "worker/trainer/data/random_stream.h"

namespace lctl::transforms {

// From an image to an image: tensors [..., channels, height, width], uint8 (0 to 255) or floating
// (0 to 1). Names, arguments, defaults and distributions are torchvision's; what is not random has
// the bits of torchvision 0.26 on tensors.
// Thread rule: immutable; any thread, any number at once.
class Transform {
 public:
  virtual ~Transform() = default;

  // The result may share memory with `image`, which is not changed. All that is random comes from
  // `random`. Throws BadSample for an image that it cannot work on (smaller than the crop),
  // MisconfigurationException where no image of that type would do (Normalize of uint8).
  virtual at::Tensor apply(const at::Tensor& image, RandomStream& random) const = 0;

  // Whether it leaves every image as it is (ToImage).
  virtual bool is_identity() const { return false; }
};

using TransformPtr = std::shared_ptr<const Transform>;

// One after the other. Neighbours that can be one pass over memory are: what comes out has the same
// bits. Throws std::invalid_argument for an empty list.
TransformPtr compose(std::vector<TransformPtr> transforms);

}  // namespace lctl::transforms
