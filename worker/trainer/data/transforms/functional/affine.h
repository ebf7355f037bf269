// torchvision.transforms.v2.functional.rotate and affine, for tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "worker/trainer/data/transforms/functional/resize.h"

namespace lctl::transforms {

struct Point {
  double x = 0;
  double y = 0;
};

struct AffineMap {
  double angle = 0;  // degrees
  Point translate;   // pixels
  double scale = 1;
  Point shear;  // degrees
};

// How new pixels are made. Only kNearest and kBilinear.
struct Sampling {
  Interpolation interpolation = Interpolation::kNearest;
  std::vector<double> fill = {0};  // one number, or one for each channel
  std::optional<Point> center;     // pixels from the upper left corner; empty: the middle
};

namespace functional {

// Counter-clockwise. `expand`: the result is large enough for all of it.
at::Tensor rotate(const at::Tensor& image, double angle, bool expand, const Sampling& sampling);

at::Tensor affine(const at::Tensor& image, const AffineMap& map, const Sampling& sampling);

}  // namespace functional
}  // namespace lctl::transforms
