// Map-style data sets: a size and a sample for every index.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "worker/trainer/data/batch.h"

namespace lctl {

// Reads may come from several loader threads at once: get() and get_batch() must be safe for that.
// Errors are exceptions that name the sample's source.
// Thread rule: immutable once a loader uses it.
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual std::int64_t size() const = 0;

  // 0 <= index < size().
  virtual Batch get(std::int64_t index) const = 0;

  // The collated batch of those samples, in fresh contiguous tensors. Data sets that lie in memory
  // do it in one gather.
  virtual Batch get_batch(std::span<const std::int64_t> indices) const;
};

// Samples are the rows of tensors with a common first dimension (torch's TensorDataset).
class TensorDataset final : public Dataset {
 public:
  explicit TensorDataset(std::vector<at::Tensor> tensors);
  std::int64_t size() const override;
  Batch get(std::int64_t index) const override;
  Batch get_batch(std::span<const std::int64_t> indices) const override;

 private:
  std::vector<at::Tensor> tensors_;
};

// Some samples of another data set, in the order of `indices`.
class Subset final : public Dataset {
 public:
  Subset(std::shared_ptr<const Dataset> whole, std::vector<std::int64_t> indices);
  std::int64_t size() const override;
  Batch get(std::int64_t index) const override;
  Batch get_batch(std::span<const std::int64_t> indices) const override;
  const std::vector<std::int64_t>& indices() const { return indices_; }

 private:
  std::shared_ptr<const Dataset> whole_;
  std::vector<std::int64_t> indices_;
};

// Stacks samples of equal structure along a new first dimension, into fresh contiguous tensors
// (torch's default_collate). Throws std::invalid_argument naming the two differing shapes.
Batch collate(const std::vector<Batch>& samples);

// torch.utils.data.random_split with a generator of that seed: one permutation, cut into
// consecutive parts. The lengths must add up to the data set's size.
std::vector<std::shared_ptr<const Dataset>> random_split(std::shared_ptr<const Dataset> whole,
                                                         const std::vector<std::int64_t>& lengths,
                                                         std::uint64_t seed);

// Shares of a data set of `size` samples as torch's random_split rounds them: each down, and what
// is left over one by one to the first parts. Throws std::invalid_argument unless they add up to 1.
std::vector<std::int64_t> split_lengths(std::int64_t size, const std::vector<double>& fractions);

// random_split(whole, {0.8, 0.2}, 42), random_split(whole, {1437, 360}, 42)
template <typename Number>
std::vector<std::shared_ptr<const Dataset>> random_split(std::shared_ptr<const Dataset> whole,
                                                         std::initializer_list<Number> parts,
                                                         std::uint64_t seed) {
  std::vector<std::int64_t> lengths(parts.begin(), parts.end());
  if constexpr (std::is_floating_point_v<Number>)
    lengths = split_lengths(whole->size(), {parts.begin(), parts.end()});
  return random_split(std::move(whole), lengths, seed);
}

}  // namespace lctl
