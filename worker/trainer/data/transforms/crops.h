// Transforms that choose a part of the image, and its size. What each does: torchvision's
// documentation of the class.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "worker/trainer/data/transforms/functional/geometry.h"
#include "worker/trainer/data/transforms/functional/resize.h"
#include "worker/trainer/data/transforms/transform.h"

namespace lctl::transforms {

// All constructors throw std::invalid_argument for arguments that cannot work. Thread rule of all
// classes: immutable.

class Resize final : public Transform {
 public:
  struct Options {
    std::vector<std::int64_t> size;  // height and width, or the shorter edge, or none: max_size
    Interpolation interpolation = Interpolation::kBilinear;
    std::optional<std::int64_t> max_size;
    bool antialias = true;
  };
  explicit Resize(Options options);
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  Options options_;
};

class CenterCrop final : public Transform {
 public:
  explicit CenterCrop(Extent size) : size_(size) {}
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  Extent size_;
};

class RandomCrop final : public Transform {
 public:
  struct Options {
    Extent size;
    std::optional<Padding> padding;
    bool pad_if_needed = false;
    std::vector<double> fill = {0};
    PaddingMode padding_mode = PaddingMode::kConstant;
  };
  explicit RandomCrop(Options options) : options_(std::move(options)) {}
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  Options options_;
};

class RandomResizedCrop final : public Transform {
 public:
  struct Options {
    Extent size;
    double min_scale = 0.08;  // share of the image's area
    double max_scale = 1.0;
    double min_ratio = 3.0 / 4.0;  // width / height
    double max_ratio = 4.0 / 3.0;
    Interpolation interpolation = Interpolation::kBilinear;
    bool antialias = true;
  };
  explicit RandomResizedCrop(const Options& options);
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

  // The part that is taken.
  Box draw(Extent image, RandomStream& random) const;

 private:
  Options options_;
};

class Pad final : public Transform {
 public:
  struct Options {
    Padding padding;
    std::vector<double> fill = {0};
    PaddingMode padding_mode = PaddingMode::kConstant;
  };
  explicit Pad(Options options) : options_(std::move(options)) {}
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override;

 private:
  Options options_;
};

}  // namespace lctl::transforms
