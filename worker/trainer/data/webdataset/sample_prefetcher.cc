#include "worker/trainer/data/webdataset/sample_prefetcher.h"

#include <fmt/format.h>

#include "worker/trainer/data/bad_sample.h"

namespace lctl::webdataset {
namespace {

constexpr std::size_t kSamplesAhead = 1024;
constexpr std::size_t kShardsAhead = 2;  // fetched, beside the one that is read

}  // namespace

SamplePrefetcher::SamplePrefetcher(std::shared_ptr<OpenShards> shards, Plan plan)
    : shards_(std::move(shards)),
      plan_(std::move(plan)),
      ahead_(kShardsAhead),
      found_(kSamplesAhead) {
  if (shards_->fetches()) opener_ = std::thread([this] { open_ahead(); });
  scanner_ = std::thread([this] { scan(); });
}

SamplePrefetcher::~SamplePrefetcher() {
  ahead_.stop();
  found_.stop();
  scanner_.join();
  if (opener_.joinable()) opener_.join();
}

std::optional<FoundSample> SamplePrefetcher::next() {
  if (taken_at_ == taken_.size()) {
    taken_.clear();
    taken_at_ = 0;
    if (!found_.take_all(taken_)) return std::nullopt;
  }
  Found found = std::move(taken_[taken_at_++]);
  if (found.error != nullptr) std::rethrow_exception(std::move(found.error));
  return std::move(found.sample);
}

template <typename Take>
bool SamplePrefetcher::for_each_shard(Take&& take) {
  for (std::int64_t round = 0; round == 0 || plan_.endless; ++round) {
    for (const std::size_t shard : plan_.shards_of_round(round)) {
      if (!take(opened(shard))) return false;
    }
    if (!take(OpenedShard{})) return false;
  }
  return true;
}

SamplePrefetcher::OpenedShard SamplePrefetcher::opened(std::size_t shard) {
  try {
    return {shard, shards_->open(shard), nullptr};
  } catch (...) {
    return {shard, nullptr, std::current_exception()};
  }
}

void SamplePrefetcher::open_ahead() {
  for_each_shard([this](OpenedShard shard) { return ahead_.push(std::move(shard)); });
  ahead_.close();
}

void SamplePrefetcher::scan() {
  if (!opener_.joinable()) {
    for_each_shard([this](const OpenedShard& shard) { return scan_shard(shard); });
  } else {
    std::vector<OpenedShard> shards;
    while (ahead_.take_all(shards)) {
      for (const OpenedShard& shard : shards) {
        if (!scan_shard(shard)) return;
      }
      shards.clear();
    }
  }
  found_.close();
}

bool SamplePrefetcher::scan_shard(const OpenedShard& opened) {
  if (!opened.shard.has_value()) return found_.push({});
  if (opened.error != nullptr) return found_.push({std::nullopt, opened.error});
  try {
    const std::string& name = shards_->name(*opened.shard);
    ShardReader reader(opened.file, name);
    bool any = false;
    while (std::optional<ShardSample> sample = reader.next()) {
      any = true;
      if (!found_.push({FoundSample{*opened.shard, std::move(*sample)}, nullptr})) return false;
    }
    if (!any && plan_.empty_shards == EmptyShards::kError) {
      throw BadSample(fmt::format(
          "{}: has no sample; a sample's files are named KEY.EXTENSION, such as 000017.jpg. "
          "empty_shards: skip passes over shards like this",
          name));
    }
    return true;
  } catch (...) {
    return found_.push({std::nullopt, std::current_exception()});
  }
}

}  // namespace lctl::webdataset
