// Images, histograms and texts as TensorBoard stores them.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string_view>

#include "worker/trainer/loggers/tensorboard_events.pb.h"

namespace lctl {

// Wrong shapes and values are std::invalid_argument that names the tag. See SummaryWriter for what
// the arguments mean.
tensorboard::Summary image_summary(std::string_view tag, const at::Tensor& image,
                                   std::string_view dataformats);

// Counts as numpy.histogram does: a bucket holds its lower edge, the last one both; values outside
// the edges, and NaN, are counted nowhere. Buckets around the values are kept, and one empty one
// below them, so that readers know the lowest edge.
tensorboard::Summary histogram_summary(std::string_view tag, const at::Tensor& values,
                                       std::span<const double> edges);

// The edges of TensorFlow's histograms: 0 and ±1e-12 · 1.1^k below 1e20.
std::span<const double> default_bucket_edges();

tensorboard::Summary text_summary(std::string_view tag, std::string_view text);

}  // namespace lctl
