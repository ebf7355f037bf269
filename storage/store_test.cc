#include "storage/store.h"

#include <SQLiteCpp/Database.h>
#include <unistd.h>

#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

using testing::HasSubstr;

class StoreOpenTest : public StoreTest {};

TEST_F(StoreOpenTest, MakesItsFolderAndPassesItsOwnCheck) {
  const std::filesystem::path deep = dir() / "a" / "b";
  const auto opened = Store::open({.dir = deep, .clock = clock_});
  ASSERT_EQ(text_of(opened.status()), "OK");
  EXPECT_TRUE(std::filesystem::exists(deep / "lctl.db"));
  EXPECT_EQ(text_of((*opened)->check_integrity()), "OK");
}

TEST_F(StoreOpenTest, StatisticsCountWhatWasWritten) {
  const StoreStatistics before = store().statistics();
  EXPECT_GT(before.database_bytes, 0);
  EXPECT_GT(before.disk_bytes, before.disk_free_bytes);
  add_job(store());
  const v1::Job stranger;
  EXPECT_FALSE(store().jobs().record(std::vector<JobChange>{{.job = stranger}}).ok());
  put_chunks(store(), "12345");
  const StoreStatistics after = store().statistics();
  EXPECT_GT(after.write_ahead_bytes, 0);
  EXPECT_EQ(after.commits - before.commits, 1u);
  EXPECT_EQ(after.changes - before.changes, 1u);
  EXPECT_EQ(after.failed_changes - before.failed_changes, 1u);
  EXPECT_EQ(after.chunk_bytes_written - before.chunk_bytes_written, 5u);
}

TEST_F(StoreOpenTest, SecondOpenerIsToldWhoHoldsTheFolder) {
  const absl::Status status = Store::open({.dir = dir(), .clock = clock_}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(text_of(status), HasSubstr("held by process " + std::to_string(getpid())));
  store_.reset();
  EXPECT_EQ(text_of(Store::open({.dir = dir(), .clock = clock_}).status()), "OK");
}

TEST_F(StoreOpenTest, StoreOfANewerVersionIsRefused) {
  store_.reset();
  SQLite::Database((dir() / "lctl.db").string(), SQLite::OPEN_READWRITE)
      .exec("INSERT INTO schema_version VALUES (9999, 'from the future', 0)");
  const absl::Status status = Store::open({.dir = dir(), .clock = clock_}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(text_of(status), HasSubstr("written by a newer lctl"));
}

TEST_F(StoreOpenTest, FolderThatCannotBeMadeSaysWhy) {
  const absl::Status status =
      Store::open({.dir = dir() / "lctl.db" / "sub", .clock = clock_}).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(text_of(status), HasSubstr("making the data folder"));
}

TEST_F(StoreOpenTest, DamagedDatabaseIsDataLoss) {
  const JobId job = add_job(store());
  start_attempt(store(), job, 1);
  log_steps(store(), {job, 1}, 0, 2000);
  store_.reset();
  {
    const std::unique_ptr<FILE, int (*)(FILE*)> file(fopen((dir() / "lctl.db").c_str(), "r+"),
                                                     fclose);
    const std::string junk(64 << 10, '\x5a');
    ASSERT_EQ(fseek(file.get(), 8 << 12, SEEK_SET), 0);
    ASSERT_EQ(fwrite(junk.data(), 1, junk.size(), file.get()), junk.size());
  }
  auto opened = Store::open({.dir = dir(), .clock = clock_});
  const absl::Status status = opened.ok() ? (*opened)->check_integrity() : opened.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
}

TEST_F(StoreOpenTest, FullDatabaseRefusesWritesAndLosesNothingAcknowledged) {
  const JobId job = add_job(store());
  start_attempt(store(), job, 1);
  store_.reset();
  open(/*max_database_bytes=*/1 << 20);
  const StreamKey stream{{job, 1}, 0, StreamKind::kEvents};
  std::int64_t acknowledged = 0;
  absl::Status full;
  while (full.ok() && acknowledged < 100'000) {
    const auto from = static_cast<std::uint64_t>(acknowledged) * kRecordBytes;
    const auto applied = store().events().apply(stream, from, from + 500 * kRecordBytes,
                                                metric_records(acknowledged, 500));
    full = applied.status();
    if (applied.ok()) acknowledged += 500;
  }
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted) << full;
  EXPECT_THAT(text_of(full), HasSubstr("free space on the store's disk"));
  EXPECT_GT(acknowledged, 1'000);
  EXPECT_EQ(steps_of(store(), job).size(), static_cast<std::size_t>(acknowledged));

  store_.reset();
  open();  // with room again
  EXPECT_EQ(*store().events().committed_offset(stream),
            static_cast<std::uint64_t>(acknowledged) * kRecordBytes);
  log_steps(store(), {job, 1}, acknowledged, 500);
  EXPECT_EQ(steps_of(store(), job).size(), static_cast<std::size_t>(acknowledged) + 500);
  EXPECT_EQ(text_of(store().check_integrity()), "OK");
}

}  // namespace
}  // namespace lctl::storage
