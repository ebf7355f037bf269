#include "client/cli/terminal/progress_line.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

class FakeClock final : public Clock {
 public:
  WallTime wall_now() const override { return WallTime(now_); }
  MonotonicTime monotonic_now() const override { return MonotonicTime(now_); }
  void advance(Duration by) { now_ += by; }

 private:
  Duration now_{0};
};

v1::Progress training() {
  v1::Progress progress;
  progress.set_global_step(1214);
  progress.set_epoch(2);
  progress.set_batch(314);
  progress.set_batches_per_epoch(450);
  progress.set_max_epochs(5);
  progress.set_max_steps(-1);
  progress.set_stage("train");
  progress.set_steps_per_second(34.1);
  (*progress.mutable_metrics())["train/loss"] = 0.23125;
  (*progress.mutable_metrics())["val/acc"] = 0.9531;
  return progress;
}

TEST(ProgressLineTest, AllFitsOnAWideTerminal) {
  EXPECT_EQ(progress_line(training(), Look{.width = 132}),
            "epoch 3/5  ━━━━━━━━━━━━━━━━──────────────   53%  step 1214  34.1/s  0:30 left  "
            "train/loss 0.2313  val/acc 0.9531");
}

TEST(ProgressLineTest, MetricsGoFirstWhenItIsNarrow) {
  EXPECT_EQ(progress_line(training(), Look{.width = 80}),
            "epoch 3/5  ━━━━━━━──────   53%  step 1214  34.1/s  0:30 left  train/loss 0.2313");
  EXPECT_EQ(progress_line(training(), Look{.width = 40}),
            "epoch 3/5  ━━━━━╸─────   53%  step 1214");
}

TEST(ProgressLineTest, IsNeverAsWideAsTheTerminal) {
  for (int width = 40; width < 140; ++width) {
    EXPECT_LT(display_width(progress_line(training(), Look{.width = width})), width);
    EXPECT_LT(display_width(progress_line(training(), Look{.width = width, .colour = true})),
              width);
  }
}

TEST(ProgressLineTest, UnknownEndShowsNoBar) {
  v1::Progress progress = training();
  progress.set_max_epochs(-1);
  EXPECT_FALSE(fraction_done(progress));
  EXPECT_EQ(progress_line(progress, Look{.width = 60}),
            "epoch 3  step 1214  34.1/s  train/loss 0.2313");
}

TEST(ProgressLineTest, StepsBoundTheJobToo) {
  v1::Progress progress = training();
  progress.set_max_steps(1300);
  EXPECT_NEAR(*fraction_done(progress), 1214.0 / 1300, 1e-9);
  EXPECT_NEAR(static_cast<double>(time_left(progress)->count()) / 1e6, (1300 - 1214) / 34.1, 1e-3);
}

TEST(ProgressLineTest, AccumulatedBatchesCountForTheTimeLeft) {
  v1::Progress progress = training();
  progress.set_global_step(607);  // two batches a step
  EXPECT_NEAR(static_cast<double>(time_left(progress)->count()) / 1e6, (2250 - 1214) / 2.0 / 34.1,
              1e-3);
}

TEST(ProgressLineTest, PlainLineHasNoBar) {
  EXPECT_EQ(plain_progress(training()),
            "epoch 3/5   53%  step 1214  34.1/s  0:30 left  train/loss 0.2313  val/acc 0.9531");
}

TEST(ProgressLineTest, NamesFromOutsideAreMadePrintable) {
  v1::Progress progress = training();
  progress.set_stage("\x1b[2J");
  EXPECT_EQ(plain_progress(progress).find('\x1b'), std::string::npos);
}

TEST(LiveLineTest, IsRedrawnAtMostTenTimesASecond) {
  std::ostringstream out;
  FakeClock clock;
  LiveLine line(out, clock);
  line.update("a");
  line.update("b");
  clock.advance(std::chrono::milliseconds(99));
  line.update("c");
  clock.advance(std::chrono::milliseconds(1));
  line.update("d");
  EXPECT_EQ(out.str(), "\r\x1b[2Ka\r\x1b[2Kd");
}

TEST(LiveLineTest, OtherLinesGoAboveIt) {
  std::ostringstream out;
  FakeClock clock;
  {
    LiveLine line(out, clock);
    line.print("first");
    line.update("bar");
    line.print("second");
  }
  EXPECT_EQ(out.str(), "first\n\r\x1b[2Kbar\r\x1b[2Ksecond\n\r\x1b[2Kbar\r\x1b[2K");
}

}  // namespace
}  // namespace lctl::cli
