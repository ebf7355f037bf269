#include "worker/trainer/data/webdataset/count_samples.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/webdataset/shard_reader.h"

namespace lctl::webdataset {
namespace {

// Headers wait for the disk, not for the processor.
constexpr std::size_t kMostThreads = 8;

std::int64_t count(const OpenShards& shards, std::size_t shard) {
  std::int64_t samples = 0;
  try {
    ShardReader reader(shards.open_once(shard), shards.name(shard));
    while (reader.next().has_value()) ++samples;
  } catch (const BadSample&) {
    // The stream says so when it comes to the place.
  }
  return samples;
}

}  // namespace

std::vector<std::int64_t> count_samples(const OpenShards& shards,
                                        const std::vector<std::size_t>& which) {
  std::vector<std::int64_t> counts(which.size(), 0);
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr error;
  const auto work = [&] {
    for (std::size_t i = next++; i < which.size(); i = next++) {
      try {
        counts[i] = count(shards, which[i]);
      } catch (...) {
        next = which.size();
        const std::lock_guard lock(mutex);
        if (error == nullptr) error = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    const std::size_t wanted = std::min(which.size(), kMostThreads);
    while (threads.size() + 1 < wanted) threads.emplace_back(work);
    work();
  }
  if (error != nullptr) std::rethrow_exception(error);
  return counts;
}

}  // namespace lctl::webdataset
