// How fast samples are found and read: shards lie in the page cache.
//   bazel run //worker/trainer/data/webdataset:web_dataset_benchmark
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "worker/trainer/data/webdataset/test_tar.h"
#include "worker/trainer/data/webdataset/web_dataset.h"

namespace lctl {
namespace {

constexpr int kShards = 4;
constexpr int kSamples = 2'500;  // a shard; each has an image and a class

// As images are: `bytes` of each, and a class.
const webdataset::TestFolder& folder(std::int64_t bytes) {
  static const webdataset::TestFolder folders("/tmp");
  static std::int64_t written = 0;
  if (written == bytes) return folders;
  written = bytes;
  for (int shard = 0; shard < kShards; ++shard) {
    webdataset::TestTar tar;
    for (int i = 0; i < kSamples; ++i) {
      const std::string key = std::to_string(shard * kSamples + i);
      tar.file(key + ".bin", std::string(static_cast<std::size_t>(bytes), 'x'));
      tar.file(key + ".cls", "7");
    }
    folders.write("t-" + std::to_string(shard) + ".tar", tar.closed());
  }
  return folders;
}

WebDatasetOptions options(std::int64_t bytes) {
  WebDatasetOptions options;
  options.shards = {folder(bytes).path("t-{0..3}.tar")};
  options.columns = {"bin", "cls"};
  return options;
}

// Headers alone, one thread.
void scan_headers(benchmark::State& state) {
  const std::string path = folder(state.range(0)).path("t-0.tar");
  std::int64_t samples = 0;
  for (auto _ : state) {
    webdataset::ShardReader reader(webdataset::ReadOnlyFile::open(path), path);
    while (reader.next().has_value()) ++samples;
  }
  state.SetItemsProcessed(samples);
}

// next() of a whole pass, with a shuffle buffer of so many.
void stream(benchmark::State& state) {
  WebDatasetOptions with = options(state.range(0));
  with.shuffle_buffer = state.range(1);
  const WebDataset data(with);
  std::int64_t samples = 0;
  for (auto _ : state) {
    const auto pass = data.iterate({});
    while (pass->next().has_value()) ++samples;
  }
  state.SetItemsProcessed(samples);
}

// next() and make(), one thread.
void stream_and_make(benchmark::State& state) {
  const WebDataset data(options(state.range(0)));
  std::int64_t samples = 0;
  for (auto _ : state) {
    const auto pass = data.iterate({});
    while (const auto pending = pass->next()) {
      RandomStream random(0, 0, 0);
      benchmark::DoNotOptimize(pending->make(random));
      ++samples;
    }
  }
  state.SetItemsProcessed(samples);
}

BENCHMARK(scan_headers)->Arg(100)->Arg(10'000)->Arg(100'000)->UseRealTime();
BENCHMARK(stream)->Args({10'000, 0})->Args({10'000, 1'000})->UseRealTime();
BENCHMARK(stream_and_make)->Arg(10'000)->UseRealTime();

}  // namespace
}  // namespace lctl

BENCHMARK_MAIN();
