// Finds samples in the background, so that nobody waits for headers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "worker/trainer/data/webdataset/bounded_queue.h"
#include "worker/trainer/data/webdataset/open_shards.h"
#include "worker/trainer/data/webdataset/shard_reader.h"

namespace lctl::webdataset {

// What a data set does about a shard without any sample.
enum class EmptyShards { kError, kSkip };

// A sample and the shard that it is in.
struct FoundSample {
  std::size_t shard = 0;
  ShardSample sample;
};

// Reads the headers of shards, one after another, with a thread of its own; where shards have to be
// fetched, one more thread has the next ones fetched meanwhile. Destroying it stops both at the
// next sample; a fetch that has begun is waited for. Thread rule: one strand only.
class SamplePrefetcher {
 public:
  struct Plan {
    // The shards of each round, in order.
    std::function<std::vector<std::size_t>(std::int64_t round)> shards_of_round;
    bool endless = false;  // rounds follow one another; else there is one
    EmptyShards empty_shards = EmptyShards::kError;
  };

  SamplePrefetcher(std::shared_ptr<OpenShards> shards, Plan plan);
  ~SamplePrefetcher();
  SamplePrefetcher(const SamplePrefetcher&) = delete;
  SamplePrefetcher& operator=(const SamplePrefetcher&) = delete;

  // The next sample; nothing at the end of each round. Throws what reading a shard threw (BadSample
  // for damage, std::runtime_error for a file that cannot be opened or read), at its place in the
  // order, and goes on with the next shard.
  std::optional<FoundSample> next();

 private:
  // A sample, what went wrong, or neither: the end of a round.
  struct Found {
    std::optional<FoundSample> sample;
    std::exception_ptr error;
  };
  // A shard to be read, or the end of a round.
  struct OpenedShard {
    std::optional<std::size_t> shard;
    std::shared_ptr<const ReadOnlyFile> file;
    std::exception_ptr error;
  };

  void open_ahead();
  void scan();
  // Both return false once all is stopped.
  template <typename Take>
  bool for_each_shard(Take&& take);
  bool scan_shard(const OpenedShard& opened);
  OpenedShard opened(std::size_t shard);

  const std::shared_ptr<OpenShards> shards_;
  const Plan plan_;
  BoundedQueue<OpenedShard> ahead_;
  BoundedQueue<Found> found_;
  std::vector<Found> taken_;  // in order; from taken_at_ on
  std::size_t taken_at_ = 0;
  std::thread opener_;
  std::thread scanner_;
};

}  // namespace lctl::webdataset
