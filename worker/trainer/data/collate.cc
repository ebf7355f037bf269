#include "worker/trainer/data/collate.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "worker/trainer/data/interleaved_image.h"

namespace lctl {
namespace {

std::string shape_text(const at::Tensor& tensor) {
  std::ostringstream out;
  out << tensor.sizes();
  return out.str();
}

at::Tensor stack_samples(const std::vector<Batch>& samples) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(samples.size());
  for (const Batch& sample : samples) {
    tensors.push_back(sample.tensor());
    if (tensors.back().sizes() != tensors.front().sizes()) {
      throw std::invalid_argument(
          fmt::format("samples of different shapes cannot be batched: {} and {}",
                      shape_text(tensors.front()), shape_text(tensors.back())));
    }
  }
  if (!std::all_of(tensors.begin(), tensors.end(), is_interleaved_image)) return at::stack(tensors);
  std::vector<std::int64_t> sizes = tensors.front().sizes().vec();
  sizes.insert(sizes.begin(), static_cast<std::int64_t>(tensors.size()));
  at::Tensor images = at::empty(sizes, at::kByte);
  auto* to = images.mutable_data_ptr<std::uint8_t>();
  for (const at::Tensor& image : tensors) {
    split_into_planes(image, to);
    to += image.numel();
  }
  return images;
}

// The same part of every sample, collated.
template <typename Key>
Batch collate_part(const std::vector<Batch>& samples, const Key& part) {
  std::vector<Batch> column;
  column.reserve(samples.size());
  for (const Batch& sample : samples) column.push_back(sample[part]);
  return collate(column);
}

}  // namespace

Batch collate(const std::vector<Batch>& samples) {
  if (samples.empty()) throw std::invalid_argument("a batch of no samples");
  const Batch& first = samples.front();
  if (first.is_tensor()) return Batch(stack_samples(samples));
  if (first.is_list()) {
    Batch::List parts;
    for (std::size_t part = 0; part < first.size(); ++part) {
      parts.push_back(collate_part(samples, part));
    }
    return Batch(std::move(parts));
  }
  if (first.is_map()) {
    Batch::Map entries;
    for (const auto& [key, item] : first.map()) {
      entries.emplace_back(key, collate_part(samples, std::string_view(key)));
    }
    return Batch(std::move(entries));
  }
  return Batch(Batch::List(samples.begin(), samples.end()));  // texts stay a list of texts
}

}  // namespace lctl
