#include "worker/trainer/data/dataset.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "worker/trainer/data/loaded_bytes.h"
#include "worker/trainer/data/stack_images.h"

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
  return are_interleaved_images(tensors) ? stack_interleaved_images(tensors) : at::stack(tensors);
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

std::vector<Batch> get_samples(const Dataset& dataset, const BatchRequest& request) {
  std::vector<Batch> samples;
  samples.reserve(request.indices.size());
  for (std::size_t i = 0; i < request.indices.size(); ++i) {
    RandomStream random = request.random(i);
    try {
      samples.push_back(dataset.get(request.indices[i], random));
    } catch (...) {
      handle_sample_error(fmt::format("sample {}", request.indices[i]), request.skipped);
    }
  }
  if (samples.empty()) throw_nothing_left(request.indices.size());
  return samples;
}

Batch Dataset::get_batch(const BatchRequest& request) const {
  return collate(get_samples(*this, request));
}

TensorDataset::TensorDataset(std::vector<at::Tensor> tensors) : tensors_(std::move(tensors)) {
  if (tensors_.empty()) throw std::invalid_argument("a data set of no tensors");
  for (const at::Tensor& tensor : tensors_) {
    if (tensor.dim() == 0 || tensor.size(0) != tensors_.front().size(0)) {
      throw std::invalid_argument("the tensors of a data set differ in their first dimension");
    }
    count_loaded_bytes(static_cast<std::int64_t>(tensor.nbytes()));
  }
}

std::int64_t TensorDataset::size() const { return tensors_.front().size(0); }

Batch TensorDataset::get(std::int64_t index, RandomStream& /*random*/) const {
  Batch::List parts;
  parts.reserve(tensors_.size());
  for (const at::Tensor& tensor : tensors_) parts.emplace_back(tensor[index]);
  return Batch(std::move(parts));
}

Batch TensorDataset::get_batch(const BatchRequest& request) const {
  const std::span<const std::int64_t> indices = request.indices;
  // index_select only reads the indices; from_blob has no const form.
  const at::Tensor rows = at::from_blob(const_cast<std::int64_t*>(indices.data()),
                                        {static_cast<std::int64_t>(indices.size())}, at::kLong);
  Batch::List parts;
  parts.reserve(tensors_.size());
  for (const at::Tensor& tensor : tensors_) parts.emplace_back(at::index_select(tensor, 0, rows));
  return Batch(std::move(parts));
}

Subset::Subset(std::shared_ptr<const Dataset> whole, std::vector<std::int64_t> indices)
    : whole_(std::move(whole)), indices_(std::move(indices)) {}

std::int64_t Subset::size() const { return static_cast<std::int64_t>(indices_.size()); }

Batch Subset::get(std::int64_t index, RandomStream& random) const {
  return whole_->get(indices_.at(static_cast<std::size_t>(index)), random);
}

Batch Subset::get_batch(const BatchRequest& request) const {
  // A thread that loads keeps its list from batch to batch; a subset of a subset makes one more.
  thread_local std::vector<std::int64_t> scratch;
  std::vector<std::int64_t> rows = std::exchange(scratch, {});
  rows.clear();
  rows.reserve(request.indices.size());
  for (const std::int64_t index : request.indices)
    rows.push_back(indices_.at(static_cast<std::size_t>(index)));
  BatchRequest of_whole = request;
  of_whole.indices = rows;
  Batch batch = whole_->get_batch(of_whole);
  scratch = std::move(rows);
  return batch;
}

std::vector<std::int64_t> split_lengths(std::int64_t size, const std::vector<double>& fractions) {
  double sum = 0;
  for (const double fraction : fractions) sum += fraction;
  if (std::abs(sum - 1) > 1e-9 || fractions.empty()) {
    throw std::invalid_argument(
        fmt::format("random_split: the fractions must sum up to 1, not to {}", sum));
  }
  std::vector<std::int64_t> lengths;
  std::int64_t left = size;
  for (const double fraction : fractions) {
    if (fraction < 0 || fraction > 1)
      throw std::invalid_argument(
          fmt::format("random_split: a fraction must be between 0 and 1, not {}", fraction));
    lengths.push_back(static_cast<std::int64_t>(std::floor(static_cast<double>(size) * fraction)));
    left -= lengths.back();
  }
  for (std::size_t i = 0; left > 0; ++i, --left) ++lengths[i % lengths.size()];
  return lengths;
}

std::vector<std::shared_ptr<const Dataset>> random_split(std::shared_ptr<const Dataset> whole,
                                                         const std::vector<std::int64_t>& lengths,
                                                         std::uint64_t seed) {
  const std::int64_t total = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  if (total != whole->size()) {
    throw std::invalid_argument(fmt::format(
        "the split's lengths add up to {}, the data set has {} samples", total, whole->size()));
  }
  at::Generator generator = at::detail::createCPUGenerator(seed);
  const at::Tensor order = at::randperm(total, generator, at::TensorOptions().dtype(at::kLong));
  const auto* values = order.const_data_ptr<std::int64_t>();
  std::vector<std::shared_ptr<const Dataset>> parts;
  for (const std::int64_t length : lengths) {
    parts.push_back(
        std::make_shared<Subset>(whole, std::vector<std::int64_t>(values, values + length)));
    values += length;
  }
  return parts;
}

}  // namespace lctl
