#include "worker/trainer/loggers/tensorboard_summary.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "worker/trainer/loggers/png.h"

namespace lctl {
namespace {

constexpr std::int64_t kImagesInARow = 8;

std::string shape_of(const at::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.sizes();
  return text.str();
}

[[noreturn]] void refuse(std::string_view what, std::string_view tag, const std::string& why) {
  throw std::invalid_argument(fmt::format("{}('{}'): {}", what, tag, why));
}

// Brings the dimensions into the order of `wanted`, as `have` names them.
at::Tensor reordered(std::string_view tag, const at::Tensor& image, const std::string& have,
                     std::string_view wanted) {
  std::vector<std::int64_t> order;
  for (const char dimension : wanted) {
    const std::size_t at = have.find(dimension);
    if (at == std::string::npos) {
      refuse("add_image", tag,
             fmt::format("dataformats '{}' lacks {}; give an order of CHW, HW or NCHW", have,
                         dimension));
    }
    order.push_back(static_cast<std::int64_t>(at));
  }
  return image.permute(order);
}

// N images as one, some in a row; the last row is filled up with black.
at::Tensor grid(std::string_view tag, at::Tensor images) {
  if (images.size(1) == 1) images = images.expand({-1, 3, -1, -1});
  if (images.size(1) != 3 || images.size(0) == 0) {
    refuse(
        "add_images", tag,
        fmt::format("needs one or more images of 1 or 3 channels, got NCHW {}", shape_of(images)));
  }
  const std::int64_t height = images.size(2);
  const std::int64_t width = images.size(3);
  const std::int64_t columns = std::min(images.size(0), kImagesInARow);
  const std::int64_t rows = (images.size(0) + columns - 1) / columns;
  at::Tensor canvas = at::zeros({3, height * rows, width * columns}, images.options());
  for (std::int64_t i = 0; i < images.size(0); ++i) {
    canvas.narrow(1, i / columns * height, height)
        .narrow(2, i % columns * width, width)
        .copy_(images[i]);
  }
  return canvas.permute({1, 2, 0});
}

at::Tensor height_width_channels(std::string_view tag, const at::Tensor& image,
                                 std::string_view dataformats) {
  std::string have;
  for (const char c : dataformats)
    have.push_back(static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c));
  if (std::set<char>(have.begin(), have.end()).size() != have.size())
    refuse("add_image", tag, fmt::format("dataformats '{}' names a dimension twice", have));
  if (image.dim() != static_cast<std::int64_t>(have.size())) {
    refuse("add_image", tag,
           fmt::format("a tensor of shape {} is not {}; say dataformats", shape_of(image), have));
  }
  if (have.size() == 4) return grid(tag, reordered(tag, image, have, "NCHW"));
  if (have.size() == 2) return reordered(tag, image, have, "HW").unsqueeze(2).expand({-1, -1, 3});
  const at::Tensor pixels = reordered(tag, image, have, "HWC");
  return pixels.size(2) == 1 ? pixels.expand({-1, -1, 3}) : pixels;
}

}  // namespace

tensorboard::Summary image_summary(std::string_view tag, const at::Tensor& image,
                                   std::string_view dataformats) {
  at::Tensor pixels = height_width_channels(tag, image.detach().cpu(), dataformats);
  if (pixels.scalar_type() != at::kByte) {
    pixels = (pixels.to(at::kFloat) * 255).nan_to_num(0).clamp(0, 255).to(at::kByte);
  }
  pixels = pixels.contiguous();
  const std::int64_t channels = pixels.size(2);
  if (channels < 2 || channels > 4 || pixels.numel() == 0) {
    refuse("add_image", tag,
           fmt::format(
               "an image has 1, 3 or 4 channels (2: grey and alpha) and at least one pixel, got {}",
               shape_of(image)));
  }
  tensorboard::Summary summary;
  tensorboard::Summary::Value& value = *summary.add_value();
  value.set_tag(std::string(tag));
  tensorboard::Summary::Image& stored = *value.mutable_image();
  stored.set_height(static_cast<std::int32_t>(pixels.size(0)));
  stored.set_width(static_cast<std::int32_t>(pixels.size(1)));
  stored.set_colorspace(static_cast<std::int32_t>(channels));
  stored.set_encoded_image_string(
      encode_png({pixels.const_data_ptr<std::uint8_t>(), static_cast<std::size_t>(pixels.numel())},
                 static_cast<std::uint32_t>(pixels.size(1)),
                 static_cast<std::uint32_t>(pixels.size(0)), static_cast<int>(channels)));
  return summary;
}

std::span<const double> default_bucket_edges() {
  static const std::vector<double> edges = [] {
    std::vector<double> positive;
    for (double edge = 1e-12; edge < 1e20; edge *= 1.1) positive.push_back(edge);
    std::vector<double> all;
    for (auto edge = positive.rbegin(); edge != positive.rend(); ++edge) all.push_back(-*edge);
    all.push_back(0);
    all.insert(all.end(), positive.begin(), positive.end());
    return all;
  }();
  return edges;
}

tensorboard::Summary histogram_summary(std::string_view tag, const at::Tensor& values,
                                       std::span<const double> edges) {
  const at::Tensor numbers = values.detach().cpu().to(at::kDouble).flatten().contiguous();
  if (numbers.numel() == 0) refuse("add_histogram", tag, "the tensor has no element");
  if (edges.size() < 2 || !std::is_sorted(edges.begin(), edges.end()))
    refuse("add_histogram", tag, "bucket edges must be two or more, in rising order");

  std::vector<double> counts(edges.size() - 1);
  const double* data = numbers.const_data_ptr<double>();
  for (std::int64_t i = 0; i < numbers.numel(); ++i) {
    const double value = data[i];
    if (!(value >= edges.front() && value <= edges.back())) continue;
    const auto above = std::upper_bound(edges.begin(), edges.end(), value);
    const auto bucket = static_cast<std::size_t>(std::distance(edges.begin(), above)) - 1;
    counts[std::min(bucket, counts.size() - 1)] += 1;
  }
  const auto is_filled = [](double count) { return count > 0; };
  const auto first = std::find_if(counts.begin(), counts.end(), is_filled);
  if (first == counts.end()) {
    refuse("add_histogram", tag,
           fmt::format("no value lies between {} and {}", edges.front(), edges.back()));
  }
  const auto last = std::find_if(counts.rbegin(), counts.rend(), is_filled).base();
  const auto begin = static_cast<std::size_t>(std::distance(counts.begin(), first));
  const auto end = static_cast<std::size_t>(std::distance(counts.begin(), last));

  tensorboard::Summary summary;
  tensorboard::Summary::Value& value = *summary.add_value();
  value.set_tag(std::string(tag));
  tensorboard::Histogram& histogram = *value.mutable_histo();
  histogram.set_min(numbers.min().item<double>());
  histogram.set_max(numbers.max().item<double>());
  histogram.set_num(static_cast<double>(numbers.numel()));
  histogram.set_sum(numbers.sum().item<double>());
  histogram.set_sum_squares(numbers.dot(numbers).item<double>());
  histogram.add_bucket_limit(edges[begin]);
  histogram.add_bucket(0);
  for (std::size_t i = begin; i < end; ++i) {
    histogram.add_bucket_limit(edges[i + 1]);
    histogram.add_bucket(counts[i]);
  }
  return summary;
}

tensorboard::Summary text_summary(std::string_view tag, std::string_view text) {
  tensorboard::Summary summary;
  tensorboard::Summary::Value& value = *summary.add_value();
  value.set_tag(std::string(tag) + "/text_summary");
  value.mutable_metadata()->mutable_plugin_data()->set_plugin_name("text");
  tensorboard::Tensor& tensor = *value.mutable_tensor();
  tensor.set_dtype(tensorboard::Tensor::DT_STRING);
  tensor.mutable_tensor_shape()->add_dim()->set_size(1);
  tensor.add_string_val(std::string(text));
  return summary;
}

}  // namespace lctl
