#include "server/jobs/strand.h"

#include <vector>

#include "gtest/gtest.h"
#include "storage/testing/manual_clock.h"

namespace lctl::jobs {
namespace {

Strand::Hooks no_hooks() {
  return {[] {}, [] { return std::optional<MonotonicTime>(); }};
}

TEST(StrandTest, RunsInTheOrderOfPostingOnOneThread) {
  storage::ManualClock clock;
  Strand strand(clock);
  strand.start(no_hooks());
  std::vector<int> seen;
  for (int i = 0; i < 100; ++i) {
    strand.post([&, i] {
      EXPECT_TRUE(strand.running_in_this_thread());
      seen.push_back(i);
    });
  }
  strand.call([] {});
  ASSERT_EQ(seen.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
}

TEST(StrandTest, CallGivesTheResultBack) {
  storage::ManualClock clock;
  Strand strand(clock);
  strand.start(no_hooks());
  EXPECT_EQ(strand.call([] { return 42; }), 42);
}

TEST(StrandTest, WhatIsPostedWhileBusyIsOneBatch) {
  storage::ManualClock clock;
  Strand strand(clock);
  int batches = 0;
  strand.start({[&] { ++batches; }, [] { return std::optional<MonotonicTime>(); }});
  std::promise<void> go;
  strand.post([&] { go.get_future().wait(); });
  for (int i = 0; i < 50; ++i) strand.post([] {});
  go.set_value();
  strand.stop();
  EXPECT_LE(batches, 2) << "the blocking one, then all others together";
}

TEST(StrandTest, WakesUpForADeadline) {
  Strand strand(system_clock());
  std::promise<void> woken;
  std::optional<MonotonicTime> deadline =
      system_clock().monotonic_now() + std::chrono::milliseconds(5);
  strand.start({[&] {
                  if (deadline && system_clock().monotonic_now() >= *deadline) {
                    deadline.reset();
                    woken.set_value();
                  }
                },
                [&] { return deadline; }});
  woken.get_future().wait();
}

TEST(StrandTest, StopRunsWhatWasPostedAndRefusesMore) {
  storage::ManualClock clock;
  Strand strand(clock);
  strand.start(no_hooks());
  bool ran = false;
  EXPECT_TRUE(strand.post([&] { ran = true; }));
  strand.stop();
  EXPECT_TRUE(ran);
  EXPECT_FALSE(strand.post([] {}));
}

}  // namespace
}  // namespace lctl::jobs
