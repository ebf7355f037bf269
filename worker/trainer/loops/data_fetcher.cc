#include "worker/trainer/loops/data_fetcher.h"

#include <algorithm>

namespace lctl {

void DataFetcher::setup(std::vector<std::shared_ptr<DataLoader>> loaders,
                        std::vector<std::int64_t> limits) {
  loaders_ = std::move(loaders);
  limits_ = std::move(limits);
  length_ = 0;
  profiler_ = nullptr;
  for (std::size_t i = 0; i < loaders_.size(); ++i) {
    const std::int64_t size = std::min(loaders_[i]->size().value_or(kInfiniteBatches), limits_[i]);
    length_ =
        size == kInfiniteBatches || length_ == kInfiniteBatches ? kInfiniteBatches : length_ + size;
  }
}

void DataFetcher::open_current() {
  iterator_.reset();
  batch_idx_ = 0;
  while (current_ < loaders_.size() && limits_[current_] == 0) ++current_;
  if (current_ < loaders_.size()) iterator_ = loaders_[current_]->iterate();
}

void DataFetcher::start() {
  if (remember_) generator_before_ = generator_states(nullptr).cpu;
  current_ = 0;
  fetched_ = 0;
  taken_ = 0;
  ahead_.reset();
  open_current();
  done_ = length_ == 0;
  if (length_ == kInfiniteBatches) {
    FetchedBatch first;
    if (fetch(first)) ahead_ = std::move(first);
    done_ = !ahead_;
  }
}

void DataFetcher::profile_as(Profiler* profiler, std::string_view action) {
  profiler_ = profiler;
  action_ = profiler == nullptr ? nullptr : &profiler->action(action);
}

bool DataFetcher::fetch(FetchedBatch& out) {
  const ActionScope action(profiler_, action_);
  while (iterator_) {
    if (batch_idx_ < limits_[current_]) {
      if (std::optional<Batch> batch = iterator_->next()) {
        out.batch = *std::move(batch);
        out.batch_idx = batch_idx_++;
        out.dataloader_idx = static_cast<std::int64_t>(current_);
        return true;
      }
    }
    ++current_;
    open_current();
  }
  return false;
}

bool DataFetcher::next(FetchedBatch& out) {
  if (length_ == kInfiniteBatches) {
    if (!ahead_) return false;
    out = *std::move(ahead_);
    ahead_.reset();
    FetchedBatch following;
    if (fetch(following)) ahead_ = std::move(following);
    ++fetched_, ++taken_;
    done_ = !ahead_;
    return true;
  }
  if (!fetch(out)) return false;
  ++fetched_, ++taken_;
  done_ = fetched_ >= length_;
  return true;
}

void DataFetcher::skip(std::int64_t count) {
  if (count <= 0 || !iterator_) return;
  const bool one_is_ahead = ahead_.has_value();  // the first of those to be passed over
  const std::int64_t still = one_is_ahead ? count - 1 : count;
  iterator_->skip(still);
  batch_idx_ += still;
  fetched_ += count;
  taken_ += count;
  done_ = fetched_ >= length_;
  if (!one_is_ahead) return;
  ahead_.reset();
  FetchedBatch following;
  if (fetch(following)) ahead_ = std::move(following);
  done_ = !ahead_;
}

void DataFetcher::clear() {
  iterator_.reset();
  ahead_.reset();
}

}  // namespace lctl
