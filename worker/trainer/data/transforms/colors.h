// Transforms of colours. What each does: torchvision's documentation of the class.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "worker/trainer/data/transforms/transform.h"

namespace lctl::transforms {

// Thread rule of all classes: immutable.

class Grayscale final : public Transform {
 public:
  // 1 or 3, or std::invalid_argument.
  explicit Grayscale(std::int64_t num_output_channels = 1);
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  std::int64_t channels_;
};

class RandomGrayscale final : public Transform {
 public:
  explicit RandomGrayscale(double p = 0.1) : p_(p) {}
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  double p_;
};

// Each of the four with a factor of its own, in random order.
class ColorJitter final : public Transform {
 public:
  using Range = std::optional<std::pair<double, double>>;  // of factors; empty: leave it alone
  struct Options {
    Range brightness;
    Range contrast;
    Range saturation;
    Range hue;
  };
  // Throws std::invalid_argument for ranges that are not increasing, of negative factors, and hues
  // outside [-0.5, 0.5].
  explicit ColorJitter(const Options& options);
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  Options options_;
};

}  // namespace lctl::transforms
