// Map-style data sets: a size and a sample for every index.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/batch.h"
#include "worker/trainer/data/batch_builder.h"
#include "worker/trainer/data/collate.h"
#include "worker/trainer/data/random_stream.h"

namespace lctl {

// Which samples a loader wants, and what they need to be the same for whoever makes them.
struct BatchRequest {
  std::span<const std::int64_t> indices;
  std::uint64_t seed = 0;             // of the pass: the loader's base seed
  std::int64_t first_place = 0;       // of indices[0] in the pass
  SkippedSamples* skipped = nullptr;  // null: a bad sample is an error
  std::size_t first_row = 0;          // of indices[0] in the batch

  RandomStream random(std::size_t position) const {
    return {seed, static_cast<std::uint64_t>(indices[position]),
            static_cast<std::uint64_t>(first_place) + position};
  }

  // `count` samples of it at most, from `position` on.
  BatchRequest part(std::size_t position, std::size_t count) const;
};

// Reads may come from several loader threads at once: get() and put_rows() must be safe for that.
// Errors are exceptions that name the sample's source.
// Thread rule: immutable once a loader uses it.
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual std::int64_t size() const = 0;

  // 0 <= index < size(). All that is random about it comes from `random`. Throws BadSample for a
  // sample that cannot be used.
  virtual Batch get(std::int64_t index, RandomStream& random) const = 0;

  // Makes those samples rows of `batch`: by one get() after another, unless a data set that lies in
  // memory can copy its rows. An error says which sample it was; with `skipped` a bad one is left
  // out instead.
  virtual void put_rows(const BatchRequest& request, BatchBuilder& batch) const;

  // For data that lies in memory, where a sample is a copy of some bytes: how many a thread takes
  // at a time when several make a batch. 0: samples take time, so the loader decides.
  virtual std::size_t samples_at_once() const { return 0; }

  // The collated batch of those samples, in fresh contiguous tensors.
  Batch get_batch(const BatchRequest& request, const BatchMemory& memory = nullptr) const;
};

// The sample at `position` of a request. With `skipped` nothing, for a bad one.
std::optional<Batch> get_sample(const Dataset& dataset, const BatchRequest& request,
                                std::size_t position);

// Samples are the rows of tensors with a common first dimension (torch's TensorDataset).
class TensorDataset final : public Dataset {
 public:
  explicit TensorDataset(std::vector<at::Tensor> tensors);
  std::int64_t size() const override;
  Batch get(std::int64_t index, RandomStream& random) const override;
  void put_rows(const BatchRequest& request, BatchBuilder& batch) const override;
  std::size_t samples_at_once() const override;

 private:
  std::vector<at::Tensor> tensors_;
  std::vector<BatchBuilder::Column> columns_;
  std::size_t samples_at_once_ = 1;
};

// Some samples of another data set, in the order of `indices`.
class Subset final : public Dataset {
 public:
  Subset(std::shared_ptr<const Dataset> whole, std::vector<std::int64_t> indices);
  std::int64_t size() const override;
  Batch get(std::int64_t index, RandomStream& random) const override;
  void put_rows(const BatchRequest& request, BatchBuilder& batch) const override;
  std::size_t samples_at_once() const override;
  const std::vector<std::int64_t>& indices() const { return indices_; }

 private:
  std::shared_ptr<const Dataset> whole_;
  std::vector<std::int64_t> indices_;
};

// What a program's own data set needs: a size, and samples by index, from several threads at once.
template <typename T>
concept IndexedSamples = requires(const T& samples, std::int64_t index) {
  { samples.size() } -> std::convertible_to<std::int64_t>;
  { samples.get(index) } -> std::convertible_to<Batch>;
};

// The same with augmentation: what is random comes from the stream.
template <typename T>
concept RandomIndexedSamples =
    requires(const T& samples, std::int64_t index, RandomStream& random) {
      { samples.size() } -> std::convertible_to<std::int64_t>;
      { samples.get(index, random) } -> std::convertible_to<Batch>;
    };

// A data set of anything that has size() and get(index), or get(index, random):
//   struct Squares {
//     std::int64_t size() const { return 100; }
//     Batch get(std::int64_t i) const { return Batch::List{at::tensor(1.0 * i), at::tensor(1.0 * i
//     * i)}; }
//   };
//   const auto data = make_dataset(Squares{});
template <typename T>
  requires IndexedSamples<T> || RandomIndexedSamples<T>
std::shared_ptr<const Dataset> make_dataset(T samples) {
  class Adapter final : public Dataset {
   public:
    explicit Adapter(T own) : samples_(std::move(own)) {}
    std::int64_t size() const override { return static_cast<std::int64_t>(samples_.size()); }
    Batch get(std::int64_t index, RandomStream& random) const override {
      if constexpr (RandomIndexedSamples<T>) {
        return samples_.get(index, random);
      } else {
        return samples_.get(index);
      }
    }

   private:
    T samples_;
  };
  return std::make_shared<Adapter>(std::move(samples));
}

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
