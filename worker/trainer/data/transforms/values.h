// Transforms of pixel values: types, normalisation, blur and erasure. What each does: torchvision's
// documentation of the class.
#pragma once

#include <utility>
#include <vector>

#include "worker/trainer/data/transforms/functional/resize.h"
#include "worker/trainer/data/transforms/transform.h"

namespace lctl::transforms {

// Thread rule of all classes: immutable.

// ConvertImageDtype is ToDtype with scale.
class ToDtype final : public Transform {
 public:
  explicit ToDtype(at::ScalarType dtype, bool scale = false) : dtype_(dtype), scale_(scale) {}
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  at::ScalarType dtype_;
  bool scale_;
};

// torchvision's older way to float32 in [0, 1], from uint8: it divides where ToDtype multiplies by
// the inverse, which differs in the last bit. Images of another type stay as they are.
class ToTensor final : public Transform {
 public:
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;
};

// ToImage, PILToTensor, ToPureTensor: an image is a tensor here from the beginning.
class Identity final : public Transform {
 public:
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;
  bool is_identity() const override { return true; }
};

class Normalize final : public Transform {
 public:
  // One number for all channels, or one for each. Throws std::invalid_argument for a std of 0.
  Normalize(std::vector<double> mean, std::vector<double> std);
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  std::vector<double> mean_;
  std::vector<double> std_;
};

class GaussianBlur final : public Transform {
 public:
  // Throws std::invalid_argument for an even kernel, and for a range that is not positive and
  // increasing.
  explicit GaussianBlur(Extent kernel, std::pair<double, double> sigma = {0.1, 2.0});
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  Extent kernel_;
  std::pair<double, double> sigma_;
};

class RandomErasing final : public Transform {
 public:
  struct Options {
    double p = 0.5;
    double min_scale = 0.02;  // share of the image's area
    double max_scale = 0.33;
    double min_ratio = 0.3;  // height / width
    double max_ratio = 3.3;
    std::vector<double> value = {0};  // one, one for each channel, or none: random ones
  };
  // Throws std::invalid_argument for pairs that are not (min, max), and scales outside [0, 1].
  explicit RandomErasing(Options options);
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  at::Tensor values(std::int64_t channels, Extent size, RandomStream& random) const;

  Options options_;
};

}  // namespace lctl::transforms
