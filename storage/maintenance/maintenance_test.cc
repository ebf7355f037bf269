#include "storage/maintenance/maintenance.h"

#include <SQLiteCpp/Database.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

bool go_on(const WorkProgress&) { return true; }

class MaintenanceTest : public StoreTest {
 protected:
  MaintenanceTest() {
    job_ = add_job(store());
    start_attempt(store(), job_, 1);
    log_steps(store(), {job_, 1}, 0, 100);
    EXPECT_TRUE(
        upload(store(), {{job_, 1}, 5, v1::CHECKPOINT_KIND_MODEL, "last.ckpt", "aaaabbbb"}).ok());
  }

  CheckReport check(bool deep = false) {
    const auto report = store().maintenance().check(deep, go_on);
    EXPECT_EQ(text_of(report.status()), "OK");
    return report.value_or(CheckReport());
  }
  fs::path chunk_file(std::string_view chunk) const {
    const std::string hex = hex_sha256(chunk);
    return dir() / "blobs" / hex.substr(0, 2) / hex.substr(2);
  }
  // Behind the store's back.
  void spoil(const char* sql) {
    SQLite::Database(dir() / "lctl.db", SQLite::OPEN_READWRITE, 1000).exec(sql);
  }

  JobId job_;
};

TEST_F(MaintenanceTest, SoundStoreHasNoFindings) {
  put_chunks(store(), "cccc");  // of an upload in flight
  for (const bool deep : {false, true}) {
    const CheckReport report = check(deep);
    EXPECT_THAT(report.findings, IsEmpty());
    EXPECT_EQ(report.jobs, 1);
    EXPECT_GE(report.point_blocks, 1);
    EXPECT_EQ(report.checkpoints, 1);
    EXPECT_EQ(report.chunks, 2);
    EXPECT_EQ(report.chunk_bytes, 8);
    EXPECT_EQ(report.unused_chunks, 1);
    EXPECT_EQ(report.unused_bytes, 4);
    EXPECT_EQ(report.damaged_files, 0);
  }
}

TEST_F(MaintenanceTest, LostAndShortChunksAreFoundWithTheirCheckpoint) {
  fs::remove(chunk_file("aaaa"));
  std::ofstream(chunk_file("bbbb")) << "bb";
  EXPECT_THAT(check().findings, testing::UnorderedElementsAre(
                                    testing::AllOf(HasSubstr("last.ckpt"), HasSubstr("is missing")),
                                    HasSubstr("has 2 bytes instead of 4")));
}

TEST_F(MaintenanceTest, DamagedBytesAreFoundByADeepCheckOnly) {
  std::ofstream(chunk_file("bbbb")) << "bbbX";
  EXPECT_THAT(check().findings, IsEmpty());
  EXPECT_THAT(check(/*deep=*/true).findings, ElementsAre(HasSubstr("does not match its SHA-256")));
}

TEST_F(MaintenanceTest, FaultsOfRowsAreFound) {
  spoil("UPDATE checkpoints SET size = 9");
  EXPECT_THAT(check().findings, ElementsAre(HasSubstr("its chunks have 8 bytes, the file has 9")));
  spoil("UPDATE checkpoints SET size = 8");
  spoil("PRAGMA foreign_keys = OFF; INSERT INTO job_notes VALUES (77, 'whose?')");
  EXPECT_THAT(check().findings, ElementsAre(HasSubstr("refers to a row of jobs")));
  spoil("DELETE FROM job_notes; INSERT INTO point_blocks SELECT * FROM point_blocks");
  EXPECT_THAT(check().findings, ElementsAre(HasSubstr("stand in two blocks")));
  spoil("DELETE FROM point_blocks WHERE rowid = 1; UPDATE point_blocks SET data = x'ff'");
  EXPECT_THAT(check().findings, IsEmpty());
  EXPECT_THAT(check(/*deep=*/true).findings, ElementsAre(HasSubstr("cannot be read")));
}

TEST_F(MaintenanceTest, CheckCanBeEnded) {
  const auto ended = store().maintenance().check(true, [](const WorkProgress&) { return false; });
  EXPECT_EQ(ended.status().code(), absl::StatusCode::kCancelled);
}

TEST_F(MaintenanceTest, VacuumGivesSpaceBackAndLosesNothing) {
  for (int i = 0; i < 40; ++i) {
    const StreamKey stream{{job_, 1}, 0, StreamKind::kStdout};
    ASSERT_TRUE(
        store()
            .events()
            .append_text(stream, static_cast<std::uint64_t>(i) << 16, std::string(1 << 16, 'x'), 1)
            .ok());
  }
  spoil("DELETE FROM text_chunks");
  const auto report = store().maintenance().vacuum();
  ASSERT_EQ(text_of(report.status()), "OK");
  EXPECT_GT(report->bytes_before, 2 << 20);
  EXPECT_LT(report->bytes_after, 1 << 20);
  EXPECT_EQ(steps_of(store(), job_).size(), 100u);
  log_steps(store(), {job_, 1}, 100, 10);
  EXPECT_THAT(check().findings, IsEmpty());
}

TEST_F(MaintenanceTest, WritersWaitForAVacuumAndAreNotRefused) {
  std::thread writer([&] {
    for (int i = 0; i < 50; ++i) log_steps(store(), {job_, 1}, 100 + i, 1);
  });
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(text_of(store().maintenance().vacuum().status()), "OK");
  }
  writer.join();
  EXPECT_EQ(steps_of(store(), job_).size(), 150u);
}

TEST_F(MaintenanceTest, DryRunOfGarbageCollectionDeletesNothing) {
  put_chunks(store(), "cccc");
  clock_.advance(std::chrono::hours(2));
  const auto would = store().checkpoints().collect_garbage({.dry_run = true});
  ASSERT_TRUE(would.ok());
  EXPECT_EQ(would->chunks, 1);
  EXPECT_EQ(would->bytes, 4);
  EXPECT_TRUE(fs::exists(chunk_file("cccc")));
  EXPECT_EQ(store().checkpoints().collect_garbage()->chunks, 1);
  EXPECT_FALSE(fs::exists(chunk_file("cccc")));
}

}  // namespace
}  // namespace lctl::storage
