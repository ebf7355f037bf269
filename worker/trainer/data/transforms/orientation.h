// Transforms that flip and turn images. What each does: torchvision's documentation of the class.
#pragma once

#include <array>
#include <optional>
#include <utility>

#include "worker/trainer/data/transforms/functional/affine.h"
#include "worker/trainer/data/transforms/transform.h"

namespace lctl::transforms {

// Thread rule of all classes: immutable.

class RandomHorizontalFlip final : public Transform {
 public:
  explicit RandomHorizontalFlip(double p = 0.5) : p_(p) {}
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;
  bool draw(RandomStream& random) const { return random.chance(p_); }

 private:
  double p_;
};

class RandomVerticalFlip final : public Transform {
 public:
  explicit RandomVerticalFlip(double p = 0.5) : p_(p) {}
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  double p_;
};

using Range = std::pair<double, double>;

class RandomRotation final : public Transform {
 public:
  struct Options {
    Range degrees;
    bool expand = false;
    Sampling sampling;
  };
  // Throws std::invalid_argument for an interpolation other than nearest and bilinear.
  explicit RandomRotation(Options options);
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  Options options_;
};

class RandomAffine final : public Transform {
 public:
  struct Options {
    Range degrees;
    std::optional<Range> translate;  // shares of width and height
    std::optional<Range> scale;
    std::optional<Range> shear_x;  // degrees
    std::optional<Range> shear_y;
    Sampling sampling;
  };
  // Throws std::invalid_argument for an interpolation other than nearest and bilinear.
  explicit RandomAffine(Options options);
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  Options options_;
};

}  // namespace lctl::transforms
