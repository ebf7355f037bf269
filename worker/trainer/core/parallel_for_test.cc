// LibTorch's loops in our own files run on several threads: they would run on one, without a word,
// if the compiler were not told of OpenMP (.bazelrc).
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>

namespace lctl {
namespace {

TEST(ParallelForTest, RunsOnAllThreads) {
  at::set_num_threads(2);
  std::atomic<int> parts = 0;
  at::parallel_for(0, 2, 1, [&](std::int64_t begin, std::int64_t end) {
    EXPECT_EQ(end - begin, 1);
    ++parts;
  });
  EXPECT_EQ(parts, 2);
}

}  // namespace
}  // namespace lctl
