// In which order a loader visits a data set: torch's samplers, with their random draws.
#pragma once

#include <ATen/core/Generator.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace lctl {

// One pass over the indices. Thread rule: one strand only.
class IndexIterator {
 public:
  virtual ~IndexIterator() = default;

  // Appends the next `count` indices; fewer at the end.
  virtual void take(std::size_t count, std::vector<std::int64_t>& indices) = 0;
};

// Thread rule: one strand only (the training thread).
class Sampler {
 public:
  virtual ~Sampler() = default;

  // Indices in one pass.
  virtual std::int64_t size() const = 0;

  // A new pass. Draws what torch's iterator draws, when it draws it.
  virtual std::unique_ptr<IndexIterator> iterate() = 0;

  // For distributed samplers: which epoch's order comes next.
  virtual void set_epoch(std::int64_t /*epoch*/) {}

  // True when the order is not that of the data set.
  virtual bool shuffles() const { return false; }
  virtual bool is_distributed() const { return false; }
};

// 0, 1, 2, …
std::shared_ptr<Sampler> sequential_sampler(std::int64_t size);

// A permutation per pass. Without a generator of its own, the first index request draws a seed from
// the global generator (torch.empty((), int64).random_()) and permutes with a private one; with
// one, the permutation is drawn from it, and a request beyond the end draws one more.
std::shared_ptr<Sampler> random_sampler(std::int64_t size,
                                        std::optional<at::Generator> generator = std::nullopt);

// This rank's share: the permutation of epoch e is that of a generator seeded with seed + e, padded
// from its own beginning to a multiple of world_size; rank r takes every world_size-th from r on.
// Source: torch/utils/data/distributed.py.
//
// So k samples of each rank are the first k * world_size of the permutation: with batches that are
// larger the fewer ranks there are, the k-th batch of all ranks together holds the same samples
// whatever their number, the last one too when they pad to the same multiple.
struct DistributedShare {
  std::int64_t world_size = 1;
  std::int64_t rank = 0;
  bool shuffle = true;
  std::uint64_t seed = 0;
  bool drop_last = false;
  bool pad = true;          // false: Lightning's unrepeated variant for predict
  std::int64_t pad_to = 0;  // pad (or drop) to a multiple of this one of world_size; 0 = of that
};
std::shared_ptr<Sampler> distributed_sampler(std::int64_t size, DistributedShare share);

// One draw of torch.empty((), int64).random_() from the global CPU generator: how torch makes
// seeds.
std::int64_t draw_seed();

}  // namespace lctl
