#include "server/retention/rules.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::retention {
namespace {

using std::chrono::hours;
using storage::FinishedJob;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::int64_t kDayUs = 86'400'000'000;
const WallTime kNow = from_unix_micros(1'000 * kDayUs);

// Ended so many days ago, with 10 bytes of checkpoints (4 spare), 3 of output and 2 of points.
FinishedJob job(const char* id, int days_ago, bool kept = false) {
  return {.id = JobId(id),
          .name = std::string("name-") + id,
          .state = v1::JOB_STATE_SUCCEEDED,
          .finished_us = (1'000 - days_ago) * kDayUs,
          .kept = kept,
          .checkpoint_bytes = 10,
          .spare_checkpoint_bytes = 4,
          .output_bytes = 3,
          .point_bytes = 2};
}

std::vector<std::string> texts(const std::vector<Removal>& removals) {
  std::vector<std::string> all;
  for (const Removal& removal : removals) {
    all.push_back(removal.job.str() + " " + name_of(removal.what) + " " +
                  std::to_string(removal.bytes));
  }
  return all;
}

TEST(RetentionRulesTest, WithoutRulesEverythingStays) {
  const std::vector<FinishedJob> jobs = {job("a", 900)};
  EXPECT_TRUE(Rules().empty());
  EXPECT_THAT(removals({}, jobs, 1'000'000, kNow), IsEmpty());
}

TEST(RetentionRulesTest, AgesEndWholeJobsElseTheirParts) {
  const std::vector<FinishedJob> jobs = {job("old", 91), job("kept", 91, true), job("edge", 90),
                                         job("mid", 31), job("new", 1)};
  const Rules rules{
      .keep_jobs = hours(24 * 90), .keep_checkpoints = hours(24 * 30), .keep_logs = hours(24 * 40)};
  const auto found = removals(rules, jobs, 0, kNow);
  EXPECT_THAT(texts(found),
              ElementsAre("old job 15", "edge checkpoints 4", "edge logs 3", "mid checkpoints 4"));
  EXPECT_EQ(found[0].reason, "it ended 91 days ago; --keep-finished-jobs is 90 days");
  EXPECT_EQ(found[0].name, "name-old");
}

TEST(RetentionRulesTest, PartsThatAreGoneAlreadyAreNotTakenAgain) {
  FinishedJob empty = job("a", 50);
  empty.spare_checkpoint_bytes = 0;
  empty.output_bytes = 0;
  EXPECT_THAT(removals({.keep_checkpoints = hours(1), .keep_logs = hours(1)},
                       std::vector<FinishedJob>{empty}, 0, kNow),
              IsEmpty());
}

//   three jobs of 15 bytes each; what goes as the limit gets smaller
TEST(RetentionRulesTest, SizeTakesSpareCheckpointsThenLogsThenJobsOldestFirst) {
  const std::vector<FinishedJob> jobs = {job("a", 3), job("b", 2), job("c", 1)};
  const auto at = [&](std::int64_t limit) {
    return texts(removals({.max_store_bytes = limit}, jobs, 45, kNow));
  };
  EXPECT_THAT(at(45), IsEmpty());
  EXPECT_THAT(at(44), ElementsAre("a checkpoints 4"));
  EXPECT_THAT(at(38), ElementsAre("a checkpoints 4", "b checkpoints 4"));
  EXPECT_THAT(at(31),
              ElementsAre("a checkpoints 4", "b checkpoints 4", "c checkpoints 4", "a logs 3"));
  EXPECT_THAT(at(23), ElementsAre("a checkpoints 4", "b checkpoints 4", "c checkpoints 4",
                                  "a logs 3", "b logs 3", "c logs 3", "a job 8"));
}

TEST(RetentionRulesTest, SizeCountsWhatAgesFree) {
  const std::vector<FinishedJob> jobs = {job("a", 100), job("b", 2)};
  const Rules rules{.keep_jobs = hours(24 * 90), .max_store_bytes = 15};
  EXPECT_THAT(texts(removals(rules, jobs, 30, kNow)), ElementsAre("a job 15"));
}

TEST(RetentionRulesTest, KeptJobsStayHoweverFullTheStoreIs) {
  const std::vector<FinishedJob> jobs = {job("a", 3, true), job("b", 2)};
  const auto found = removals({.max_store_bytes = 1}, jobs, 30, kNow);
  EXPECT_THAT(texts(found), ElementsAre("b checkpoints 4", "b logs 3", "b job 8"));
  EXPECT_THAT(found[0].reason, HasSubstr("--max-store-size is 0.0 GiB"));
}

}  // namespace
}  // namespace lctl::retention
