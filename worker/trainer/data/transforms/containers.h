// Transforms made of transforms. (compose() is in transform.h.)
#pragma once

#include "worker/trainer/data/transforms/transform.h"

namespace lctl::transforms {

// All of them, or none. Thread rule: immutable.
class RandomApply final : public Transform {
 public:
  explicit RandomApply(TransformPtr all, double p = 0.5) : all_(std::move(all)), p_(p) {}
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  TransformPtr all_;
  double p_;
};

}  // namespace lctl::transforms
