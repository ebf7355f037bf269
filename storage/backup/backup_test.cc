#include <fstream>
#include <functional>

#include "storage/backup/restore.h"
#include "storage/maintenance/maintenance.h"
#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

bool go_on(const WorkProgress&) { return true; }

class BackupTest : public StoreTest {
 protected:
  BackupTest() {
    job_ = add_job(store());
    start_attempt(store(), job_, 1);
    log_steps(store(), {job_, 1}, 0, 50);
  }

  CheckpointId save(std::int64_t step, const std::string& content) {
    return *upload(store(), {{job_, 1}, step, v1::CHECKPOINT_KIND_MODEL, "last.ckpt", content});
  }
  absl::StatusOr<BackupReport> back_up(int keep = 0, ProgressSink progress = go_on) {
    return store().maintenance().back_up({.dir = backups(), .keep = keep}, progress);
  }
  absl::StatusOr<RestoreReport> restore(const fs::path& backup, bool check_hashes = true) {
    return restore_backup({.backup = backup, .data_dir = restored(), .check_hashes = check_hashes},
                          clock_, go_on);
  }
  std::unique_ptr<Store> open_restored() {
    auto opened = Store::open({.dir = restored(), .clock = clock_});
    EXPECT_EQ(text_of(opened.status()), "OK");
    return opened.ok() ? *std::move(opened) : nullptr;
  }

  fs::path backups() const { return other_.path() / "backups"; }
  fs::path restored() const { return other_.path() / "restored"; }
  static fs::path chunk_file(const fs::path& blobs, std::string_view chunk) {
    const std::string hex = hex_sha256(chunk);
    return blobs / hex.substr(0, 2) / hex.substr(2);
  }
  static void write(const fs::path& file, std::string_view text) { std::ofstream(file) << text; }
  std::vector<std::string> names_in(const fs::path& dir) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(dir)) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  TempFolder other_;
  JobId job_;
};

TEST_F(BackupTest, RestoredStoreHasAllThatTheBackupHad) {
  const CheckpointId id = save(5, "onetwo");
  const auto made = back_up();
  ASSERT_EQ(text_of(made.status()), "OK");
  EXPECT_EQ(made->folder, backups() / "20270115T080000Z");
  EXPECT_EQ(made->jobs, 1);
  EXPECT_EQ(made->checkpoints, 1);
  EXPECT_EQ(made->chunks, 2);
  EXPECT_EQ(made->chunk_bytes, 6);
  EXPECT_EQ(made->linked_chunks + made->copied_chunks, 2);
  EXPECT_EQ(made->missing_chunks, 0);
  log_steps(store(), {job_, 1}, 50, 10);  // later than the backup

  const auto report = restore(backups());
  ASSERT_EQ(text_of(report.status()), "OK");
  EXPECT_EQ(report->backup, made->folder);
  const auto again = open_restored();
  EXPECT_EQ(text_of(again->check_integrity()), "OK");
  EXPECT_EQ(steps_of(*again, job_).size(), 50u);
  EXPECT_EQ(*download(*again, id), "onetwo");
  EXPECT_EQ(again->jobs().get(job_)->spec().name(), "digits");
}

TEST_F(BackupTest, SecondBackupTakesOnlyNewChunksAndKeepsTheFirst) {
  const CheckpointId first = save(5, "aaaabbbb");
  const auto one = back_up();
  const CheckpointId second = save(6, "aaaacccc");  // drops the first
  const auto two = back_up();
  ASSERT_EQ(text_of(two.status()), "OK");
  EXPECT_EQ(two->linked_chunks + two->copied_chunks, 1);
  EXPECT_THAT(names_in(backups()),
              ElementsAre("20270115T080000Z", "20270115T080000Z-2", "blobs", "lctl.lock"));
  ASSERT_EQ(text_of(restore(one->folder).status()), "OK") << "an older one, by its name";
  const auto again = open_restored();
  EXPECT_EQ(*download(*again, first), "aaaabbbb");
  EXPECT_FALSE(again->checkpoints().get(second).ok());
}

TEST_F(BackupTest, OldBackupsGoWithTheirChunksBeyondKeep) {
  save(5, "aaaabbbb");
  ASSERT_TRUE(back_up().ok());
  clock_.advance(std::chrono::hours(24));
  save(6, "aaaacccc");
  const auto two = back_up(/*keep=*/1);
  ASSERT_EQ(text_of(two.status()), "OK");
  EXPECT_THAT(two->removed, ElementsAre("20270115T080000Z"));
  EXPECT_TRUE(fs::exists(chunk_file(backups() / "blobs", "aaaa")));
  EXPECT_FALSE(fs::exists(chunk_file(backups() / "blobs", "bbbb")));
  EXPECT_EQ(text_of(restore(backups()).status()), "OK");
}

// Garbage collection that runs at the worst moments: after the database was copied, and at each
// chunk.
TEST_F(BackupTest, CheckpointDroppedWhileItIsBackedUpIsWholeInTheBackup) {
  const CheckpointId id = save(5, "aaaabbbb");
  bool dropped = false;
  const auto made = back_up(0, [&](const WorkProgress& now) {
    if (std::string_view(now.phase) == "database pages" && now.done == now.total && !dropped) {
      dropped = true;
      save(6, "ccccdddd");  // under the same name
      clock_.advance(std::chrono::hours(3));
    }
    EXPECT_EQ(store().checkpoints().collect_dropped()->chunks, 0);
    EXPECT_EQ(store().checkpoints().collect_garbage()->chunks, 0);
    return true;
  });
  ASSERT_EQ(text_of(made.status()), "OK");
  EXPECT_TRUE(dropped);
  EXPECT_EQ(made->missing_chunks, 0);
  EXPECT_EQ(store().checkpoints().collect_dropped()->chunks, 2) << "once the backup is made";
  ASSERT_EQ(text_of(restore(backups()).status()), "OK");
  EXPECT_EQ(*download(*open_restored(), id), "aaaabbbb");
}

TEST_F(BackupTest, WritesGoOnAndDoNotTearTheCopy) {
  int calls = 0;
  const auto made = back_up(0, [&](const WorkProgress&) {
    log_steps(store(), {job_, 1}, 50 + 10 * calls++, 10);
    return true;
  });
  ASSERT_EQ(text_of(made.status()), "OK");
  EXPECT_GT(calls, 0);
  ASSERT_EQ(text_of(restore(backups()).status()), "OK");
  EXPECT_EQ(steps_of(*open_restored(), job_).size(), 50u);
}

TEST_F(BackupTest, EndedBackupLeavesNoneAndTheNextDoesNotCopyAgain) {
  save(5, "aaaabbbb");
  const auto ended = back_up(0, [&](const WorkProgress& now) {
    return std::string_view(now.phase) != "chunks" || now.done < 1;
  });
  EXPECT_EQ(ended.status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(names_in(backups()), ElementsAre("blobs", "lctl.lock"));
  EXPECT_EQ(restore(backups()).status().code(), absl::StatusCode::kNotFound);
  fs::create_directories(backups() / "20260101T000000Z.incomplete");  // as a crash leaves it
  const auto made = back_up();
  ASSERT_EQ(text_of(made.status()), "OK");
  EXPECT_EQ(made->linked_chunks + made->copied_chunks, 1);
  EXPECT_FALSE(fs::exists(backups() / "20260101T000000Z.incomplete"));
}

TEST_F(BackupTest, LostChunkIsToldAndAllElseIsThere) {
  save(5, "aaaabbbb");
  fs::remove(chunk_file(dir() / "blobs", "bbbb"));
  const auto made = back_up();
  ASSERT_EQ(text_of(made.status()), "OK");
  EXPECT_EQ(made->missing_chunks, 1);
  ASSERT_EQ(made->missing.size(), 1u);
  EXPECT_THAT(made->missing[0], HasSubstr("last.ckpt"));
  EXPECT_EQ(text_of(restore(backups()).status()), "OK") << "it was known when it was made";
  EXPECT_EQ(steps_of(*open_restored(), job_).size(), 50u);
}

TEST_F(BackupTest, FolderIsChecked) {
  const auto code = [&](const fs::path& folder, int keep = 0) {
    return store().maintenance().back_up({.dir = folder, .keep = keep}, go_on).status().code();
  };
  EXPECT_EQ(code("relative/folder"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(""), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(dir()), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(dir() / "blobs" / ".." / "inside"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(backups(), -1), absl::StatusCode::kInvalidArgument);
}

TEST_F(BackupTest, OnlyOnePieceOfMaintenanceRuns) {
  absl::Status second;
  ASSERT_TRUE(back_up(0, [&](const WorkProgress&) {
                second = store().maintenance().vacuum().status();
                return true;
              }).ok());
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(text_of(second), HasSubstr("a backup is running"));
}

TEST_F(BackupTest, DamagedBackupIsRefusedAndTheFolderStaysEmpty) {
  save(5, "aaaabbbb");
  const fs::path backup = back_up()->folder;
  const auto refused = [&](std::string_view why, bool check_hashes = true) {
    const absl::Status status = restore(backups(), check_hashes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(text_of(status), HasSubstr(std::string(why)));
    EXPECT_THAT(names_in(restored()), ElementsAre("lctl.lock"));
  };
  const fs::path chunk = chunk_file(backups() / "blobs", "bbbb");
  fs::rename(chunk, other_.path() / "kept");
  refused("is missing", /*check_hashes=*/false);
  write(chunk, "bbb");
  refused("does not have its 4 bytes", /*check_hashes=*/false);
  write(chunk, "bbbX");
  refused("does not match its SHA-256");
  fs::remove(chunk);
  fs::rename(other_.path() / "kept", chunk);
  fs::rename(backup / "lctl.db", other_.path() / "kept");
  write(backup / "lctl.db", "no database");
  refused("does not have the SHA-256");
  fs::rename(other_.path() / "kept", backup / "lctl.db");
  EXPECT_EQ(text_of(restore(backups()).status()), "OK") << "as it was";
}

TEST_F(BackupTest, FolderWithSomethingInItIsNotRestoredInto) {
  ASSERT_TRUE(back_up().ok());
  fs::create_directories(restored());
  write(restored() / "precious", "data");
  const absl::Status status = restore(backups()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(text_of(status), HasSubstr("precious"));
}

TEST_F(BackupTest, RestoreThatWasCutOffCannotBeOpened) {
  fs::create_directories(restored() / "restoring");
  const auto opened = Store::open({.dir = restored(), .clock = clock_});
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(text_of(opened.status()), HasSubstr("restore again"));
}

}  // namespace
}  // namespace lctl::storage
