#include "worker/trainer/data/webdataset/web_dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "jobspec/input_source.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/webdataset/count_samples.h"
#include "worker/trainer/data/webdataset/shard_list.h"
#include "worker/trainer/data/webdataset/shuffle_buffer.h"

namespace lctl {
namespace {

using webdataset::FoundSample;
using webdataset::SampleMaker;
using webdataset::SamplePrefetcher;

// Orders draw from other streams than samples do, which use the pass's seed itself.
constexpr std::uint64_t kShardOrder = 0x53A7D0BDE4F1C269ULL;
constexpr std::uint64_t kBufferOrder = 0xB0FFE43D91C7A85BULL;

RandomStream order_stream(std::uint64_t purpose, const StreamPass& pass, std::int64_t round) {
  return {pass.seed ^ purpose, static_cast<std::uint64_t>(pass.rank),
          static_cast<std::uint64_t>(round)};
}

// Fisher and Yates.
void shuffle(std::vector<std::size_t>& items, RandomStream random) {
  for (std::size_t i = items.size(); i > 1; --i)
    std::swap(items[i - 1],
              items[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(i)))]);
}

void check(const WebDatasetOptions& options) {
  if (options.shuffle_buffer < 0 || options.shuffle_initial < 0) {
    throw MisconfigurationException(
        fmt::format("shuffle_buffer: {} with shuffle_initial: {}: numbers of samples, 0 or more",
                    options.shuffle_buffer, options.shuffle_initial));
  }
  if (options.samples_per_pass.has_value() && *options.samples_per_pass < 1) {
    throw MisconfigurationException(
        fmt::format("samples_per_pass: {}: 1 or more; leave it out for what the shards hold",
                    *options.samples_per_pass));
  }
}

}  // namespace

// Thread rule: one strand only; the samples share what they need with the data set.
class WebDataset::Stream final : public SampleStream {
 public:
  Stream(const WebDataset& data, const StreamPass& pass)
      : pass_(pass),
        maker_(data.maker_),
        left_(data.options_.samples_per_pass),
        buffer_(static_cast<std::size_t>(data.options_.shuffle_buffer),
                static_cast<std::size_t>(data.options_.shuffle_initial)),
        random_(order_stream(kBufferOrder, pass, 0)) {
    SamplePrefetcher::Plan plan;
    plan.endless = left_.has_value();
    plan.empty_shards = data.options_.empty_shards;
    plan.shards_of_round = [pass, shuffled = data.options_.shard_shuffle,
                            own = webdataset::shards_of_rank(data.names_.size(), pass.rank,
                                                             pass.world_size)](std::int64_t round) {
      std::vector<std::size_t> order = own;
      if (shuffled) shuffle(order, order_stream(kShardOrder, pass, round));
      return order;
    };
    found_ = std::make_unique<SamplePrefetcher>(data.shards_, std::move(plan));
  }

  std::optional<PendingSample> next() override {
    if (found_ == nullptr) return std::nullopt;
    std::optional<FoundSample> found = next_of_rounds();
    if (!found.has_value() || (left_.has_value() && --*left_ == 0)) found_.reset();
    if (!found.has_value()) return std::nullopt;
    PendingSample pending;
    pending.name = maker_->name_of(found->shard, found->sample);
    const auto what = std::make_shared<const FoundSample>(std::move(*found));
    pending.make = [maker = maker_, what](RandomStream& random) {
      return maker->make(what->shard, what->sample, random);
    };
    if (maker_->has_putters()) {
      pending.put = [maker = maker_, what](BatchBuilder& batch, std::size_t row,
                                           RandomStream& random) {
        maker->put(what->shard, what->sample, random, batch, row);
      };
    }
    return pending;
  }

 private:
  std::optional<FoundSample> next_of_rounds() {
    while (true) {
      std::optional<FoundSample> found = buffer_.next(
          [this] { return found_->next(); },
          [this](std::size_t size) { return random_.below(static_cast<std::int64_t>(size)); });
      if (found.has_value()) {
        any_in_round_ = true;
        return found;
      }
      if (!left_.has_value()) return std::nullopt;
      if (!std::exchange(any_in_round_, false)) {
        found_.reset();
        throw MisconfigurationException(
            "no shard has a sample that can be read: samples_per_pass cannot be reached");
      }
      random_ = order_stream(kBufferOrder, pass_, ++round_);
    }
  }

  StreamPass pass_;
  std::shared_ptr<const SampleMaker> maker_;
  std::optional<std::int64_t> left_;  // of samples_per_pass
  std::unique_ptr<SamplePrefetcher> found_;
  webdataset::ShuffleBuffer<FoundSample> buffer_;
  RandomStream random_;  // of the buffer, in this round
  std::int64_t round_ = 0;
  bool any_in_round_ = false;
};

WebDataset::WebDataset(WebDatasetOptions options) : options_(std::move(options)) {
  check(options_);
  names_ = webdataset::list_shards(options_.shards);
  if (options_.resolve == nullptr) {
    const auto url = std::find_if(names_.begin(), names_.end(), jobspec::is_url);
    if (url != names_.end()) {
      throw MisconfigurationException(
          fmt::format("shards: {}: URLs are not fetched here; name files or folders", *url));
    }
  }
  shards_ = std::make_shared<webdataset::OpenShards>(names_, options_.resolve);
  maker_ = std::make_shared<const SampleMaker>(shards_, options_.columns, options_.decoders,
                                               options_.putters, options_.transforms);
  counts_.assign(names_.size(), -1);
}

WebDataset::~WebDataset() = default;

std::unique_ptr<SampleStream> WebDataset::iterate(const StreamPass& pass) const {
  return std::make_unique<Stream>(*this, pass);
}

std::optional<std::int64_t> WebDataset::size(int rank, int world_size) const {
  const std::vector<std::size_t> own = webdataset::shards_of_rank(names_.size(), rank, world_size);
  if (options_.samples_per_pass.has_value()) return options_.samples_per_pass;
  if (std::any_of(names_.begin(), names_.end(), jobspec::is_url)) return std::nullopt;
  const std::lock_guard lock(counts_mutex_);
  std::vector<std::size_t> unknown;
  std::copy_if(own.begin(), own.end(), std::back_inserter(unknown),
               [this](std::size_t shard) { return counts_[shard] < 0; });
  const std::vector<std::int64_t> counted = webdataset::count_samples(*shards_, unknown);
  for (std::size_t i = 0; i < unknown.size(); ++i) counts_[unknown[i]] = counted[i];
  std::int64_t sum = 0;
  for (const std::size_t shard : own) sum += counts_[shard];
  return sum;
}

}  // namespace lctl
