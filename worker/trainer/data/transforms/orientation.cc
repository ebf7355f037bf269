#include "worker/trainer/data/transforms/orientation.h"

#include <cmath>
#include <stdexcept>

#include "worker/trainer/data/transforms/functional/geometry.h"

namespace lctl::transforms {
namespace {

double draw_from(const Range& range, RandomStream& random) {
  return random.uniform(range.first, range.second);
}

double draw_from(const std::optional<Range>& range, double otherwise, RandomStream& random) {
  return range ? draw_from(*range, random) : otherwise;
}

void check_interpolation(const Sampling& sampling) {
  if (sampling.interpolation == Interpolation::kNearest ||
      sampling.interpolation == Interpolation::kBilinear)
    return;
  throw std::invalid_argument("interpolation must be nearest or bilinear");
}

}  // namespace

at::Tensor RandomHorizontalFlip::apply(const at::Tensor& image, RandomStream& random) const {
  return draw(random) ? functional::horizontal_flip(image) : image;
}

at::Tensor RandomVerticalFlip::apply(const at::Tensor& image, RandomStream& random) const {
  return random.chance(p_) ? functional::vertical_flip(image) : image;
}

RandomRotation::RandomRotation(Options options) : options_(std::move(options)) {
  check_interpolation(options_.sampling);
}

at::Tensor RandomRotation::apply(const at::Tensor& image, RandomStream& random) const {
  return functional::rotate(image, draw_from(options_.degrees, random), options_.expand,
                            options_.sampling);
}

RandomAffine::RandomAffine(Options options) : options_(std::move(options)) {
  check_interpolation(options_.sampling);
}

at::Tensor RandomAffine::apply(const at::Tensor& image, RandomStream& random) const {
  AffineMap map;
  map.angle = draw_from(options_.degrees, random);
  if (options_.translate) {
    const double x = options_.translate->first * static_cast<double>(image.size(-1));
    const double y = options_.translate->second * static_cast<double>(image.size(-2));
    map.translate.x = std::nearbyint(random.uniform(-x, x));
    map.translate.y = std::nearbyint(random.uniform(-y, y));
  }
  map.scale = draw_from(options_.scale, 1.0, random);
  map.shear.x = draw_from(options_.shear_x, 0.0, random);
  map.shear.y = draw_from(options_.shear_y, 0.0, random);
  return functional::affine(image, map, options_.sampling);
}

}  // namespace lctl::transforms
