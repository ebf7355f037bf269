// Whoever takes part in an epoch, and whenever that changes: every batch of all ranks together
// holds the same samples.
#include <ATen/ops/arange.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <set>
#include <vector>

#include "worker/trainer/data/map_data_loader.h"

namespace lctl {
namespace {

using Samples = std::multiset<std::int64_t>;

std::shared_ptr<const Dataset> numbers(std::int64_t size) {
  return std::make_shared<TensorDataset>(std::vector<at::Tensor>{at::arange(size, at::kLong)});
}

// What can be drawn: a global batch, the worlds that share it evenly, and a data set.
struct Run {
  std::int64_t global_batch = 1;
  std::vector<std::int64_t> worlds;
  std::int64_t pad_to = 1;
  std::int64_t samples = 1;
  std::uint64_t seed = 0;
  bool shuffle = true;
  bool drop_last = false;

  std::int64_t batches() const {
    const std::int64_t padded = (samples + pad_to - 1) / pad_to * pad_to;
    return drop_last ? padded / global_batch : (padded + global_batch - 1) / global_batch;
  }
  // One rank's iterator, in that epoch.
  std::unique_ptr<BatchIterator> rank(std::int64_t world, std::int64_t rank,
                                      std::int64_t epoch) const {
    MapDataLoader own(
        numbers(samples),
        {.batch_size = global_batch / world, .drop_last = drop_last, .pad_to = pad_to});
    const auto loader = own.with_distributed_sampler(
        static_cast<int>(world), static_cast<int>(rank), shuffle, seed, /*pad=*/true);
    RC_ASSERT(loader->size().value() == batches());
    loader->set_epoch(epoch);
    return loader->iterate();
  }
};

void showValue(const Run& run, std::ostream& out) {
  out << run.samples << " samples, " << run.global_batch << " at once, filled up to " << run.pad_to
      << ", worlds";
  for (const std::int64_t world : run.worlds) out << " " << world;
}

rc::Gen<Run> any_run() {
  return rc::gen::exec([] {
    Run run;
    run.global_batch = *rc::gen::element<std::int64_t>(1, 2, 3, 4, 6, 8, 12, 24);
    for (std::int64_t world = 1; world <= run.global_batch; ++world) {
      if (run.global_batch % world == 0 && *rc::gen::arbitrary<bool>()) run.worlds.push_back(world);
    }
    if (run.worlds.empty()) run.worlds = {run.global_batch};
    for (const std::int64_t world : run.worlds) run.pad_to = std::lcm(run.pad_to, world);
    run.samples = *rc::gen::inRange<std::int64_t>(1, 100);
    run.seed = static_cast<std::uint64_t>(*rc::gen::inRange(0, 1000));
    run.shuffle = *rc::gen::arbitrary<bool>();
    run.drop_last = *rc::gen::arbitrary<bool>();
    return run;
  });
}

// The batches `from` .. `to` of all ranks of a world together.
std::vector<Samples> together(const Run& run, std::int64_t world, std::int64_t epoch,
                              std::int64_t from, std::int64_t to) {
  std::vector<Samples> batches(static_cast<std::size_t>(to - from));
  for (std::int64_t r = 0; r < world; ++r) {
    const auto iterator = run.rank(world, r, epoch);
    iterator->skip(from);
    for (Samples& batch : batches) {
      const auto own = iterator->next();
      RC_ASSERT(own.has_value());
      const at::Tensor& tensor = (*own)[0].tensor();
      const auto* data = tensor.const_data_ptr<std::int64_t>();
      batch.insert(data, data + tensor.numel());
    }
  }
  return batches;
}

RC_GTEST_PROP(ElasticOrderTest, BatchOfAllRanksIsTheSameForEveryWorld, ()) {
  const Run run = *any_run();
  const std::int64_t epoch = *rc::gen::inRange<std::int64_t>(0, 3);
  const auto expected = together(run, run.worlds.front(), epoch, 0, run.batches());
  for (const std::int64_t world : run.worlds)
    RC_ASSERT(together(run, world, epoch, 0, run.batches()) == expected);
}

RC_GTEST_PROP(ElasticOrderTest, WorldsThatFollowEachOtherSeeEverySampleOnce, ()) {
  const Run run = *any_run();
  RC_PRE(run.batches() > 0);
  const auto undisturbed = together(run, run.worlds.front(), 0, 0, run.batches());
  std::vector<Samples> seen;
  while (static_cast<std::int64_t>(seen.size()) < run.batches()) {
    const auto from = static_cast<std::int64_t>(seen.size());
    const std::int64_t to = *rc::gen::inRange<std::int64_t>(from + 1, run.batches() + 1);
    const std::int64_t world = *rc::gen::elementOf(run.worlds);
    for (Samples& batch : together(run, world, 0, from, to)) seen.push_back(std::move(batch));
  }
  RC_ASSERT(seen == undisturbed);
  Samples all;
  for (const Samples& batch : seen) all.insert(batch.begin(), batch.end());
  // All of them once, but for those that fill the epoch up, which are few.
  const std::int64_t padding = static_cast<std::int64_t>(all.size()) - run.samples;
  RC_ASSERT(padding < run.pad_to);
  if (run.drop_last) return;
  RC_ASSERT(std::set<std::int64_t>(all.begin(), all.end()).size() ==
            static_cast<std::size_t>(run.samples));
}

}  // namespace
}  // namespace lctl
