// A simulated training: steps take so long, a worker makes a batch in so long, and the tuner is
// told what the loop would measure.
#include "worker/trainer/data/loading/worker_tuner.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rapidcheck/gtest.h"

namespace lctl {
namespace {

constexpr std::int64_t kMebibyte = 1 << 20;

// Batches per second of a training whose step takes `step` seconds, with n workers that each make a
// batch in `batch` seconds; more than `cores` of them get in each other's way.
struct Machine {
  double step = 0.01;
  double batch = 0.08;
  double cores = 1000;

  double speed(std::int64_t workers) const {
    const double n = static_cast<double>(workers);
    const double useful = n <= cores ? n : cores * (1 - 0.02 * (n - cores));
    return std::min(1 / step, std::max(useful, 0.1) / batch);
  }
  WorkerTuner::Window window(std::int64_t workers) const {
    WorkerTuner::Window window;
    window.batches = std::max<std::int64_t>(20, 3 * workers);
    window.seconds = static_cast<double>(window.batches) / speed(workers);
    window.waited_seconds = window.seconds * std::max(0.0, 1 - speed(workers) * step);
    return window;
  }
  double best_fixed(std::int64_t highest) const {
    double best = 0;
    for (std::int64_t n = 1; n <= highest; ++n) best = std::max(best, speed(n));
    return best;
  }
};

std::vector<std::int64_t> run(WorkerTuner& tuner, const Machine& machine, int windows) {
  std::vector<std::int64_t> changes;
  for (int i = 0; i < windows; ++i) {
    if (const auto change = tuner.observe(machine.window(tuner.workers())))
      changes.push_back(change->workers);
  }
  return changes;
}

TEST(WorkerTunerTest, RaisesWorkersUntilSpeedPlateausAndTakesTheFewestThatReachIt) {
  WorkerTuner tuner({.start = 2, .highest = 64});
  // 8 workers feed a step; 16 bring nothing more.
  EXPECT_THAT(run(tuner, {.step = 0.01, .batch = 0.075}, 30), ::testing::ElementsAre(4, 8));
}

TEST(WorkerTunerTest, StepsBackWhenMoreWorkersGetInEachOthersWay) {
  WorkerTuner tuner({.start = 2, .highest = 64});
  EXPECT_THAT(run(tuner, {.step = 0.001, .batch = 0.1, .cores = 4}, 30),
              ::testing::ElementsAre(4, 8, 4));
}

TEST(WorkerTunerTest, LeavesALoaderThatKeepsUpAlone) {
  WorkerTuner tuner({.start = 4, .highest = 64});
  EXPECT_THAT(run(tuner, {.step = 0.1, .batch = 0.01}, 50), ::testing::IsEmpty());
}

TEST(WorkerTunerTest, LooksAgainWhenDataBecomesSlower) {
  WorkerTuner tuner({.start = 2, .highest = 64});
  run(tuner, {.step = 0.01, .batch = 0.015}, 10);
  EXPECT_EQ(tuner.workers(), 2);
  run(tuner, {.step = 0.01, .batch = 0.06}, 30);
  EXPECT_EQ(tuner.workers(), 8);
}

TEST(WorkerTunerTest, HalvesWhenMemoryRunsLowAndLooksAgainWhenThereIsRoom) {
  const Machine machine{.step = 0.01, .batch = 0.075};
  WorkerTuner tuner({.start = 8, .highest = 64});
  std::vector<std::int64_t> changes;
  const auto run_with = [&](std::int64_t available, int windows) {
    for (int i = 0; i < windows; ++i) {
      WorkerTuner::Window window = machine.window(tuner.workers());
      window.memory_available = available * kMebibyte;
      window.memory_reserve = 200 * kMebibyte;
      if (const auto change = tuner.observe(window)) {
        changes.push_back(change->workers);
        if (available < 200) {
          EXPECT_EQ(change->reason, "memory runs low: 100 MiB are left, 200 MiB should be");
        }
      }
    }
  };
  run_with(100, 4);  // the first window after a change does not count
  EXPECT_THAT(changes, ::testing::ElementsAre(4, 2));
  run_with(300, 20);  // enough, but not clearly
  EXPECT_EQ(tuner.workers(), 2);
  run_with(500, 20);
  EXPECT_THAT(changes, ::testing::ElementsAre(4, 2, 4, 8));
}

TEST(WorkerTunerTest, DoesNotAddWorkersThatMemoryHasNoRoomFor) {
  const Machine machine{.step = 0.001, .batch = 0.1};
  WorkerTuner tuner({.start = 2, .highest = 64});
  for (int i = 0; i < 30; ++i) {
    WorkerTuner::Window window = machine.window(tuner.workers());
    window.memory_reserve = 100 * kMebibyte;
    window.bytes_per_worker = 50 * kMebibyte;
    window.memory_available = (400 - 50 * tuner.workers()) * kMebibyte;
    tuner.observe(window);
  }
  EXPECT_LE(tuner.workers(), 6);
  EXPECT_GE(tuner.workers(), 4);
}

RC_GTEST_PROP(WorkerTunerTest, ComesWithinATenthOfTheBestFixedNumber, ()) {
  Machine machine;
  machine.step = *rc::gen::inRange(1, 100) / 1000.0;
  machine.batch = *rc::gen::inRange(1, 500) / 1000.0;
  WorkerTuner tuner({.start = *rc::gen::inRange<std::int64_t>(1, 9), .highest = 64});
  run(tuner, machine, 40);
  RC_ASSERT(machine.speed(tuner.workers()) >= 0.9 * machine.best_fixed(64));
}

}  // namespace
}  // namespace lctl
