#include "worker/trainer/data/modules/transformed_images.h"

#include <utility>

namespace lctl {

TransformedImages::TransformedImages(at::Tensor images, at::Tensor labels,
                                     transforms::TransformPtr transform)
    : images_(std::move(images)), labels_(std::move(labels)), transform_(std::move(transform)) {}

Batch TransformedImages::get(std::int64_t index, RandomStream& random) const {
  const at::Tensor image = images_[index];
  return Batch(Batch::List{Batch(transform_ != nullptr ? transform_->apply(image, random) : image),
                           Batch(labels_[index])});
}

Batch TransformedImages::get_batch(const BatchRequest& request) const {
  if (transform_ != nullptr) return Dataset::get_batch(request);
  return TensorDataset({images_, labels_}).get_batch(request);
}

}  // namespace lctl
