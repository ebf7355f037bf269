#include "worker/trainer/data/sampler.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randperm.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/check.h"

namespace lctl {
namespace {

std::vector<std::int64_t> permutation(std::int64_t size, const at::Generator& generator) {
  const at::Tensor order = at::randperm(size, generator, at::TensorOptions().dtype(at::kLong));
  const auto* values = order.const_data_ptr<std::int64_t>();
  return {values, values + size};
}

// Appends up to `count` of `order` from `position` on, and moves that. Returns how many.
std::size_t append_next(const std::vector<std::int64_t>& order, std::size_t& position,
                        std::size_t count, std::vector<std::int64_t>& indices) {
  const std::size_t taken = std::min(count, order.size() - position);
  const auto from = order.begin() + static_cast<std::ptrdiff_t>(position);
  indices.insert(indices.end(), from, from + static_cast<std::ptrdiff_t>(taken));
  position += taken;
  return taken;
}

class SequentialIterator final : public IndexIterator {
 public:
  explicit SequentialIterator(std::int64_t size) : size_(size) {}

  void take(std::size_t count, std::vector<std::int64_t>& indices) override {
    const std::int64_t end = std::min(size_, position_ + static_cast<std::int64_t>(count));
    while (position_ < end) indices.push_back(position_++);
  }

 private:
  std::int64_t size_;
  std::int64_t position_ = 0;
};

class SequentialSampler final : public Sampler {
 public:
  explicit SequentialSampler(std::int64_t size) : size_(size) {}
  std::int64_t size() const override { return size_; }
  std::unique_ptr<IndexIterator> iterate() override {
    return std::make_unique<SequentialIterator>(size_);
  }

 private:
  std::int64_t size_;
};

// Permutes at the first request, with a private generator seeded by one draw, or with the user's.
class RandomIterator final : public IndexIterator {
 public:
  RandomIterator(std::int64_t size, std::optional<at::Generator> generator)
      : size_(size), generator_(std::move(generator)) {}

  void take(std::size_t count, std::vector<std::int64_t>& indices) override {
    if (!drawn_) {
      const at::Generator generator =
          generator_.has_value()
              ? *generator_
              : at::detail::createCPUGenerator(static_cast<std::uint64_t>(draw_seed()));
      order_ = permutation(size_, generator);
      drawn_ = true;
    }
    if (append_next(order_, position_, count, indices) == count) return;
    // torch draws once more to see that nothing is left; only a user's generator shows it.
    if (generator_.has_value() && !finished_) permutation(size_, *generator_);
    finished_ = true;
  }

 private:
  std::int64_t size_;
  std::optional<at::Generator> generator_;
  std::vector<std::int64_t> order_;
  std::size_t position_ = 0;
  bool drawn_ = false;
  bool finished_ = false;
};

class RandomSampler final : public Sampler {
 public:
  RandomSampler(std::int64_t size, std::optional<at::Generator> generator)
      : size_(size), generator_(std::move(generator)) {}
  std::int64_t size() const override { return size_; }
  bool shuffles() const override { return true; }
  std::unique_ptr<IndexIterator> iterate() override {
    return std::make_unique<RandomIterator>(size_, generator_);
  }

 private:
  std::int64_t size_;
  std::optional<at::Generator> generator_;
};

class DistributedSampler;

// Orders at the first request, so that an epoch set between making the iterator and that counts: a
// resumed run sets it then.
class DistributedIterator final : public IndexIterator {
 public:
  explicit DistributedIterator(std::shared_ptr<const DistributedSampler> sampler)
      : sampler_(std::move(sampler)) {}

  void take(std::size_t count, std::vector<std::int64_t>& indices) override;

 private:
  std::shared_ptr<const DistributedSampler> sampler_;  // let go at the first request
  std::vector<std::int64_t> order_;
  std::size_t position_ = 0;
};

class DistributedSampler final : public Sampler,
                                 public std::enable_shared_from_this<DistributedSampler> {
 public:
  DistributedSampler(std::int64_t size, DistributedShare share) : size_(size), share_(share) {
    LCTL_CHECK(share.world_size >= 1 && share.rank >= 0 && share.rank < share.world_size,
               "a rank is one of its world");
    LCTL_CHECK(share.pad_to % share.world_size == 0, "ranks get equally many samples");
  }

  std::int64_t size() const override {
    const std::int64_t world = share_.world_size;
    return share_.pad ? padded() / world : (size_ - share_.rank + world - 1) / world;
  }
  void set_epoch(std::int64_t epoch) override { epoch_ = epoch; }
  bool shuffles() const override { return share_.shuffle; }
  bool is_distributed() const override { return true; }

  std::unique_ptr<IndexIterator> iterate() override {
    return std::make_unique<DistributedIterator>(shared_from_this());
  }

  // This rank's part of the present epoch's order.
  std::vector<std::int64_t> order() const {
    std::vector<std::int64_t> all;
    if (share_.shuffle) {
      all = permutation(
          size_, at::detail::createCPUGenerator(share_.seed + static_cast<std::uint64_t>(epoch_)));
    } else {
      all.resize(static_cast<std::size_t>(size_));
      std::iota(all.begin(), all.end(), 0);
    }
    if (share_.pad && !all.empty()) {
      const auto total = static_cast<std::size_t>(padded());
      const std::size_t once = all.size();
      if (total < once) all.resize(total);
      while (all.size() < total) all.push_back(all[all.size() % once]);
    }
    std::vector<std::int64_t> mine;
    for (auto i = static_cast<std::size_t>(share_.rank); i < all.size();
         i += static_cast<std::size_t>(share_.world_size)) {
      mine.push_back(all[i]);
    }
    return mine;
  }

 private:
  // Samples of all ranks.
  std::int64_t padded() const {
    const std::int64_t unit = share_.pad_to > 0 ? share_.pad_to : share_.world_size;
    return (share_.drop_last ? size_ : size_ + unit - 1) / unit * unit;
  }

  std::int64_t size_;
  DistributedShare share_;
  std::int64_t epoch_ = 0;
};

void DistributedIterator::take(std::size_t count, std::vector<std::int64_t>& indices) {
  if (sampler_ != nullptr) {
    order_ = sampler_->order();
    sampler_.reset();
  }
  append_next(order_, position_, count, indices);
}

}  // namespace

std::int64_t draw_seed() {
  return at::empty({}, at::TensorOptions().dtype(at::kLong)).random_().item<std::int64_t>();
}

std::shared_ptr<Sampler> sequential_sampler(std::int64_t size) {
  return std::make_shared<SequentialSampler>(size);
}

std::shared_ptr<Sampler> random_sampler(std::int64_t size, std::optional<at::Generator> generator) {
  return std::make_shared<RandomSampler>(size, std::move(generator));
}

std::shared_ptr<Sampler> distributed_sampler(std::int64_t size, DistributedShare share) {
  return std::make_shared<DistributedSampler>(size, share);
}

}  // namespace lctl
