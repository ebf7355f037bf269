#include "worker/trainer/data/combined_loader.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace lctl {
namespace {

using Mode = CombinedLoader::Mode;

// One part in one pass. With a known length it also knows its end without making the batch there.
class PartIterator {
 public:
  explicit PartIterator(DataLoader& loader)
      : loader_(loader), size_(loader.size()), iterator_(loader.iterate()) {}

  void restart() {
    iterator_ = loader_.iterate();
    taken_ = 0;
  }

  // The next batch; `wanted` false: passes over it and gives None. Nothing at the end.
  std::optional<Batch> take(bool wanted) {
    if (wanted || !size_) {
      std::optional<Batch> batch = iterator_->next();
      taken_ += batch ? 1 : 0;
      return batch;
    }
    if (taken_ >= *size_) return std::nullopt;
    skip(1);
    return Batch();
  }

  // Batches that skip() may pass over at once.
  std::int64_t remaining() const { return size_ ? *size_ - taken_ : 0; }
  void skip(std::int64_t count) {
    iterator_->skip(count);
    taken_ += count;
  }

  bool ended = false;

 private:
  DataLoader& loader_;
  std::optional<std::int64_t> size_;
  std::unique_ptr<BatchIterator> iterator_;
  std::int64_t taken_ = 0;
};

// Parts side by side. Thread rule: one strand only.
class ParallelIterator final : public BatchIterator {
 public:
  ParallelIterator(const CombinedLoader::Parts& loaders, std::vector<std::string> names, Mode mode)
      : loaders_(loaders), names_(std::move(names)), mode_(mode) {
    parts_.reserve(loaders_.size());
    for (const auto& loader : loaders_) parts_.emplace_back(*loader);
  }

  std::optional<Batch> next() override { return step(true); }

  void skip(std::int64_t count) override {
    while (count > 0) {
      std::int64_t together = count;
      for (const PartIterator& part : parts_) together = std::min(together, part.remaining());
      if (together > 0) {
        for (PartIterator& part : parts_) part.skip(together);
        count -= together;
      } else {
        if (!step(false)) return;
        --count;
      }
    }
  }

 private:
  std::optional<Batch> step(bool wanted) {
    Batch::List batches;
    batches.reserve(parts_.size());
    bool any = false;
    for (PartIterator& part : parts_) {
      std::optional<Batch> batch = part.take(wanted);
      any = any || batch;
      if (!batch && mode_ == Mode::kMinSize) return std::nullopt;
      if (!batch && mode_ == Mode::kMaxSizeCycle) {
        part.ended = true;
        const bool all_ended = std::all_of(parts_.begin(), parts_.end(),
                                           [](const PartIterator& each) { return each.ended; });
        if (all_ended) return std::nullopt;
        part.restart();
        batch = part.take(wanted);
        if (!batch) return std::nullopt;  // it has none at all
      }
      batches.push_back(batch ? *std::move(batch) : Batch());
    }
    if (!any) return std::nullopt;
    if (names_.empty()) return Batch(std::move(batches));
    Batch::Map named;
    named.reserve(batches.size());
    for (std::size_t i = 0; i < batches.size(); ++i)
      named.emplace_back(names_[i], std::move(batches[i]));
    return Batch(std::move(named));
  }

  const CombinedLoader::Parts loaders_;  // the combination may be gone before its iterator
  const std::vector<std::string> names_;
  const Mode mode_;
  std::vector<PartIterator> parts_;
};

// One part after another; each one's iterator is made when its turn comes. Thread rule: one strand
// only.
class SequentialIterator final : public BatchIterator {
 public:
  SequentialIterator(const CombinedLoader::Parts& loaders, CombinedLoader::Limits limits)
      : loaders_(loaders), limits_(std::move(limits)) {
    open();
  }

  std::optional<Batch> next() override { return step(true); }
  void skip(std::int64_t count) override {
    while (count-- > 0 && step(false)) {
    }
  }

 private:
  void open() {
    part_.reset();
    taken_ = 0;
    if (current_ < loaders_.size()) part_.emplace(*loaders_[current_]);
  }

  std::optional<Batch> step(bool wanted) {
    for (; part_; ++current_, open()) {
      if (taken_ >= limits_[current_].value_or(std::numeric_limits<std::int64_t>::max())) continue;
      if (std::optional<Batch> batch = part_->take(wanted)) {
        ++taken_;
        return batch;
      }
    }
    return std::nullopt;
  }

  const CombinedLoader::Parts loaders_;
  const CombinedLoader::Limits limits_;
  std::size_t current_ = 0;
  std::optional<PartIterator> part_;
  std::int64_t taken_ = 0;
};

CombinedLoader::Parts parts_of(const CombinedLoader::NamedParts& named) {
  CombinedLoader::Parts parts;
  for (const auto& [name, part] : named) parts.push_back(part);
  return parts;
}

}  // namespace

CombinedLoader::CombinedLoader(Parts parts, Mode mode)
    : parts_(std::move(parts)), mode_(mode), limits_(parts_.size()) {
  if (parts_.empty()) throw std::invalid_argument("CombinedLoader: there is no loader to combine");
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (!parts_[i])
      throw std::invalid_argument("CombinedLoader: loader " + std::to_string(i) + " is null");
  }
}

CombinedLoader::CombinedLoader(const NamedParts& parts, Mode mode)
    : CombinedLoader(parts_of(parts), mode) {
  for (const auto& [name, part] : parts) names_.push_back(name);
}

std::shared_ptr<CombinedLoader> CombinedLoader::with_parts(Parts parts, Limits limits) const {
  if (parts.size() != parts_.size() || limits.size() != parts_.size()) {
    throw std::invalid_argument("CombinedLoader: " + std::to_string(parts.size()) +
                                " loaders and " + std::to_string(limits.size()) +
                                " limits in place of " + std::to_string(parts_.size()) +
                                " loaders");
  }
  auto combined = std::make_shared<CombinedLoader>(std::move(parts), mode_);
  combined->names_ = names_;
  combined->limits_ = std::move(limits);
  return combined;
}

std::unique_ptr<BatchIterator> CombinedLoader::iterate() {
  if (mode_ == Mode::kSequential) return std::make_unique<SequentialIterator>(parts_, limits_);
  return std::make_unique<ParallelIterator>(parts_, names_, mode_);
}

// Batches of each part, up to its limit; empty = no end is known.
std::vector<std::optional<std::int64_t>> CombinedLoader::lengths() const {
  std::vector<std::optional<std::int64_t>> lengths;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    std::optional<std::int64_t> length = parts_[i]->size();
    if (limits_[i]) length = std::min(length.value_or(*limits_[i]), *limits_[i]);
    lengths.push_back(length);
  }
  return lengths;
}

std::optional<std::int64_t> CombinedLoader::size() const {
  std::optional<std::int64_t> total;
  for (const std::optional<std::int64_t>& length : lengths()) {
    if (mode_ == Mode::kMinSize) {
      if (length) total = std::min(total.value_or(*length), *length);
      continue;
    }
    if (!length) return std::nullopt;
    const std::int64_t before = total.value_or(0);
    total = mode_ == Mode::kSequential ? before + *length : std::max(before, *length);
  }
  return total;
}

std::optional<std::int64_t> CombinedLoader::dataset_length() const {
  std::optional<std::int64_t> total;
  for (const auto& part : parts_) {
    const std::optional<std::int64_t> length = part->dataset_length();
    if (!length) continue;
    if (!total) {
      total = length;
    } else if (mode_ == Mode::kMinSize) {
      total = std::min(*total, *length);
    } else {
      total = mode_ == Mode::kSequential ? *total + *length : std::max(*total, *length);
    }
  }
  return total;
}

bool CombinedLoader::shuffles() const {
  return std::any_of(parts_.begin(), parts_.end(),
                     [](const auto& part) { return part->shuffles(); });
}

bool CombinedLoader::has_distributed_sampler() const {
  return std::all_of(parts_.begin(), parts_.end(),
                     [](const auto& part) { return part->has_distributed_sampler(); });
}

std::shared_ptr<DataLoader> CombinedLoader::with_distributed_sampler(int world_size, int rank,
                                                                     bool shuffle,
                                                                     std::uint64_t seed, bool pad) {
  Parts parts = parts_;
  for (auto& part : parts) {
    if (!part->has_distributed_sampler())
      part = part->with_distributed_sampler(world_size, rank, shuffle, seed, pad);
  }
  return with_parts(std::move(parts), limits_);
}

std::shared_ptr<DataLoader> CombinedLoader::with_sequential_sampler() {
  Parts parts = parts_;
  for (auto& part : parts) part = part->with_sequential_sampler();
  return with_parts(std::move(parts), limits_);
}

std::shared_ptr<DataLoader> CombinedLoader::for_prediction() {
  Parts parts = parts_;
  for (auto& part : parts) part = part->for_prediction();
  return with_parts(std::move(parts), limits_);
}

void CombinedLoader::set_epoch(std::int64_t epoch) {
  for (const auto& part : parts_) part->set_epoch(epoch);
}

}  // namespace lctl
