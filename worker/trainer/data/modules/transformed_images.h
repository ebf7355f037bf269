// Images in memory, with transforms.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/trainer/data/dataset.h"
#include "worker/trainer/data/transforms/transform.h"

namespace lctl {

// Sample i is (transform(images[i]), labels[i]). Thread rule: immutable.
class TransformedImages final : public Dataset {
 public:
  // images: uint8 [n, channels, height, width]; labels: int64 [n]. A null transform changes
  // nothing.
  TransformedImages(at::Tensor images, at::Tensor labels, transforms::TransformPtr transform);

  std::int64_t size() const override { return images_.size(0); }
  Batch get(std::int64_t index, RandomStream& random) const override;

 private:
  at::Tensor images_;
  at::Tensor labels_;
  transforms::TransformPtr transform_;
};

}  // namespace lctl
