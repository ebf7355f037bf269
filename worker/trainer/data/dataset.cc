#include "worker/trainer/data/dataset.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/randperm.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "worker/trainer/data/loaded_bytes.h"

namespace lctl {
namespace {

constexpr std::size_t kBytesOfAThread = 128 << 10;  // of LibTorch's: fewer are not worth a start

// Of a loader's thread. A batch that is not large is one thread's: two that write it would take its
// memory from each other's caches, which costs more than it brings.
constexpr std::size_t kBytesAtOnce = 4 << 20;

// Rows lie anywhere in memory: each is asked for while some before it are copied. Of long rows the
// beginning only; the processor sees by itself how they go on.
constexpr std::int64_t kRowsAhead = 8;
constexpr std::int64_t kBytesPrefetched = 256;
constexpr std::int64_t kCacheLine = 64;

// Row request.indices[i] of `from` to row first_row + i of `to`, on all cores that a loader's
// thread, or the training thread, may use.
void copy_rows(const at::Tensor& from, const BatchRequest& request, const at::Tensor& to) {
  const auto count = static_cast<std::int64_t>(request.indices.size());
  const auto first = static_cast<std::int64_t>(request.first_row);
  if (!from.is_contiguous() || !from.device().is_cpu()) {
    // index_select only reads the indices; from_blob has no const form.
    const at::Tensor rows =
        at::from_blob(const_cast<std::int64_t*>(request.indices.data()), {count}, at::kLong);
    to.narrow(0, first, count).copy_(at::index_select(from, 0, rows));
    return;
  }
  const std::int64_t size = from.size(0);
  const auto bytes = static_cast<std::int64_t>(from.nbytes()) / std::max<std::int64_t>(1, size);
  if (bytes == 0) return;
  const auto* source = static_cast<const char*>(from.const_data_ptr());
  auto* target = static_cast<char*>(to.mutable_data_ptr()) + first * bytes;
  const std::int64_t prefetched = std::min(bytes, kBytesPrefetched);
  const std::int64_t rows_of_a_thread =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(kBytesOfAThread) / bytes);
  at::parallel_for(0, count, rows_of_a_thread, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (i + kRowsAhead < end) {
        const char* later =
            source + request.indices[static_cast<std::size_t>(i + kRowsAhead)] * bytes;
        for (std::int64_t at = 0; at < prefetched; at += kCacheLine) __builtin_prefetch(later + at);
      }
      const std::int64_t row = request.indices[static_cast<std::size_t>(i)];
      TORCH_CHECK_INDEX(row >= 0 && row < size, "row ", row, " of ", size);
      std::memcpy(target + i * bytes, source + row * bytes, static_cast<std::size_t>(bytes));
    }
  });
}

}  // namespace

BatchRequest BatchRequest::part(std::size_t position, std::size_t count) const {
  BatchRequest part = *this;
  part.indices = indices.subspan(position, std::min(count, indices.size() - position));
  part.first_place += static_cast<std::int64_t>(position);
  part.first_row += position;
  return part;
}

std::optional<Batch> get_sample(const Dataset& dataset, const BatchRequest& request,
                                std::size_t position) {
  RandomStream random = request.random(position);
  try {
    return dataset.get(request.indices[position], random);
  } catch (...) {
    handle_sample_error(fmt::format("sample {}", request.indices[position]), request.skipped);
  }
  return std::nullopt;
}

void Dataset::put_rows(const BatchRequest& request, BatchBuilder& batch) const {
  for (std::size_t i = 0; i < request.indices.size(); ++i) {
    std::optional<Batch> sample = get_sample(*this, request, i);
    if (sample) batch.put(request.first_row + i, *std::move(sample));
  }
}

Batch Dataset::get_batch(const BatchRequest& request, const BatchMemory& memory) const {
  BatchBuilder batch(request.indices.size(), memory);
  put_rows(request, batch);
  return batch.finish();
}

TensorDataset::TensorDataset(std::vector<at::Tensor> tensors) : tensors_(std::move(tensors)) {
  if (tensors_.empty()) throw std::invalid_argument("a data set of no tensors");
  std::size_t bytes = 1;
  for (at::Tensor& tensor : tensors_) {
    if (tensor.dim() == 0 || tensor.size(0) != tensors_.front().size(0)) {
      throw std::invalid_argument("the tensors of a data set differ in their first dimension");
    }
    count_loaded_bytes(static_cast<std::int64_t>(tensor.nbytes()));
    columns_.push_back({tensor.sizes().slice(1).vec(), tensor.scalar_type()});
    if (tensor.size(0) > 0) bytes += tensor.nbytes() / static_cast<std::size_t>(tensor.size(0));
  }
  samples_at_once_ = std::max<std::size_t>(1, kBytesAtOnce / bytes);
}

std::int64_t TensorDataset::size() const { return tensors_.front().size(0); }

std::size_t TensorDataset::samples_at_once() const { return samples_at_once_; }

Batch TensorDataset::get(std::int64_t index, RandomStream& /*random*/) const {
  Batch::List parts;
  parts.reserve(tensors_.size());
  for (const at::Tensor& tensor : tensors_) parts.emplace_back(tensor[index]);
  return Batch(std::move(parts));
}

void TensorDataset::put_rows(const BatchRequest& request, BatchBuilder& batch) const {
  const std::vector<at::Tensor>* columns = batch.columns(columns_);
  if (columns == nullptr) return Dataset::put_rows(request, batch);
  for (std::size_t i = 0; i < tensors_.size(); ++i) copy_rows(tensors_[i], request, (*columns)[i]);
  batch.mark(request.first_row, request.indices.size());
}

Subset::Subset(std::shared_ptr<const Dataset> whole, std::vector<std::int64_t> indices)
    : whole_(std::move(whole)), indices_(std::move(indices)) {}

std::int64_t Subset::size() const { return static_cast<std::int64_t>(indices_.size()); }

Batch Subset::get(std::int64_t index, RandomStream& random) const {
  return whole_->get(indices_.at(static_cast<std::size_t>(index)), random);
}

void Subset::put_rows(const BatchRequest& request, BatchBuilder& batch) const {
  // A thread that loads keeps its list from batch to batch; a subset of a subset makes one more.
  thread_local std::vector<std::int64_t> scratch;
  std::vector<std::int64_t> rows = std::exchange(scratch, {});
  rows.clear();
  rows.reserve(request.indices.size());
  for (const std::int64_t index : request.indices)
    rows.push_back(indices_.at(static_cast<std::size_t>(index)));
  BatchRequest of_whole = request;
  of_whole.indices = rows;
  whole_->put_rows(of_whole, batch);
  scratch = std::move(rows);
}

std::size_t Subset::samples_at_once() const { return whole_->samples_at_once(); }

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
