#include "worker/trainer/data/modules/transformed_images.h"

#include <utility>

namespace lctl {

TransformedImages::TransformedImages(at::Tensor images, at::Tensor labels,
                                     transforms::TransformPtr transform)
    : images_(std::move(images)), labels_(std::move(labels)), transform_(std::move(transform)) {}

Batch TransformedImages::get(std::int64_t index, RandomStream& random) const {
  return Batch(
      Batch::List{Batch(transform_->apply(images_[index], random)), Batch(labels_[index])});
}

}  // namespace lctl
