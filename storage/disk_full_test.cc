// What a store does on a disk without room, and when there is room again.
#include <chrono>

#include "storage/maintenance/maintenance.h"
#include "storage/testing/full_disk.h"
#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

bool go_on(const WorkProgress&) { return true; }

class DiskFullTest : public StoreTest {
 protected:
  DiskFullTest() {
    job_ = add_job(store());
    start_attempt(store(), job_, 1);
    log_steps(store(), {job_, 1}, 0, 100);
  }
  ~DiskFullTest() override { fill_disk(false); }

  absl::StatusOr<Applied> log_more(std::int64_t first) {
    const auto from = static_cast<std::uint64_t>(first) * kRecordBytes;
    return store().events().apply({{job_, 1}, 0, StreamKind::kEvents}, from,
                                  from + 10 * kRecordBytes, metric_records(first, 10));
  }
  void reopen_with(DiskSpace space) {
    store_.reset();
    store_ = *Store::open({.dir = dir(), .clock = clock_, .space = std::move(space)});
  }

  JobId job_;
};

TEST_F(DiskFullTest, NothingAcknowledgedIsLostAndAllGoesOnByItselfWhenThereIsRoom) {
  fill_disk(true);
  for (int i = 0; i < 3; ++i) {
    const absl::Status refused = log_more(100).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
    EXPECT_THAT(text_of(refused), HasSubstr("free space"));
    EXPECT_EQ(store().checkpoints().put(hex_sha256("aaaa"), "aaaa").status().code(),
              absl::StatusCode::kResourceExhausted);
  }
  EXPECT_EQ(steps_of(store(), job_).size(), 100u) << "reads go on";
  fill_disk(false);
  ASSERT_EQ(text_of(log_more(100).status()), "OK") << "without opening it anew";
  EXPECT_TRUE(upload(store(), {{job_, 1}, 5, v1::CHECKPOINT_KIND_MODEL, "last.ckpt"}).ok());
  reopen();
  EXPECT_EQ(steps_of(store(), job_).size(), 110u);
  EXPECT_EQ(text_of(store().check_integrity()), "OK");
}

TEST_F(DiskFullTest, BackupOntoAFullDiskLeavesNone) {
  const TempFolder other;
  fill_disk(true);
  const absl::Status status =
      store().maintenance().back_up({.dir = other.path() / "b"}, go_on).status();
  fill_disk(false);
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(text_of(store().maintenance().back_up({.dir = other.path() / "b"}, go_on).status()),
            "OK");
}

//   free   reserve   a chunk of 4 bytes
TEST_F(DiskFullTest, CheckpointsStopBeforeMetricsDo) {
  std::int64_t free_bytes = 1'000;
  reopen_with({.reserve_bytes = 900, .free_bytes = [&] { return free_bytes; }});
  EXPECT_TRUE(*store().checkpoints().put(hex_sha256("aaaa"), "aaaa"));
  free_bytes = 903;
  const absl::Status refused = store().checkpoints().put(hex_sha256("bbbb"), "bbbb").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(text_of(refused), HasSubstr("kept for the database"));
  EXPECT_FALSE(*store().checkpoints().put(hex_sha256("aaaa"), "aaaa")) << "it takes no room";
  EXPECT_EQ(store().statistics().refused_chunks, 1u);
  EXPECT_EQ(store().statistics().reserve_bytes, 900);
  EXPECT_EQ(text_of(log_more(100).status()), "OK") << "metrics go on";
  free_bytes = 904;
  EXPECT_TRUE(*store().checkpoints().put(hex_sha256("bbbb"), "bbbb")) << "by itself";
}

TEST_F(DiskFullTest, SpaceThatCannotBeToldRefusesNothing) {
  reopen_with({.reserve_bytes = 900, .free_bytes = [] { return std::nullopt; }});
  EXPECT_TRUE(*store().checkpoints().put(hex_sha256("aaaa"), "aaaa"));
}

TEST(DiskReserveTest, IsAShareOfTheDiskAndAGibibyteAtMost) {
  constexpr std::int64_t kGiB = std::int64_t{1} << 30;
  EXPECT_EQ(default_reserve(10 * kGiB), kGiB / 2);
  EXPECT_EQ(default_reserve(20 * kGiB), kGiB);
  EXPECT_EQ(default_reserve(1'000 * kGiB), kGiB);
  EXPECT_EQ(default_reserve(0), 0);
}

}  // namespace
}  // namespace lctl::storage
