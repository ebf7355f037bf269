// Backups onto another file system, to which no hard link leads: in this program link(2) says so.
#include <cerrno>
#include <fstream>

#include "storage/backup/restore.h"
#include "storage/maintenance/maintenance.h"
#include "storage/testing/store_fixture.h"

// In a program it comes before the C library's.
extern "C" int link(const char*, const char*) noexcept {
  errno = EXDEV;
  return -1;
}

namespace lctl::storage {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;

bool go_on(const WorkProgress&) { return true; }

class BackupCopyTest : public StoreTest {
 protected:
  BackupCopyTest() {
    job_ = add_job(store());
    start_attempt(store(), job_, 1);
    id_ = *upload(store(), {{job_, 1}, 5, v1::CHECKPOINT_KIND_MODEL, "last.ckpt", "aaaabbbb"});
  }
  BackupReport back_up() {
    const auto made = store().maintenance().back_up({.dir = other_.path() / "backups"}, go_on);
    EXPECT_EQ(text_of(made.status()), "OK");
    return made.value_or(BackupReport());
  }

  TempFolder other_;
  JobId job_;
  CheckpointId id_;
};

TEST_F(BackupCopyTest, ChunksAreCopiedOnceAndRestored) {
  BackupReport made = back_up();
  EXPECT_EQ(made.linked_chunks, 0);
  EXPECT_EQ(made.copied_chunks, 2);
  EXPECT_EQ(made.copied_bytes, 8);
  made = back_up();
  EXPECT_EQ(made.copied_chunks, 0);
  EXPECT_EQ(made.chunks, 2);
  const fs::path restored = other_.path() / "restored";
  const auto report = restore_backup({.backup = made.folder, .data_dir = restored}, clock_, go_on);
  ASSERT_EQ(text_of(report.status()), "OK");
  EXPECT_EQ(report->copied_chunks, 2);
  const auto again = Store::open({.dir = restored, .clock = clock_});
  ASSERT_EQ(text_of(again.status()), "OK");
  EXPECT_EQ(*download(**again, id_), "aaaabbbb");
  EXPECT_EQ(text_of((*again)->check_integrity()), "OK");
}

TEST_F(BackupCopyTest, DamagedChunkIsNoticedWhileItIsCopied) {
  const std::string hex = hex_sha256("bbbb");
  std::ofstream(dir() / "blobs" / hex.substr(0, 2) / hex.substr(2)) << "bbbX";
  const BackupReport made = back_up();
  EXPECT_EQ(made.copied_chunks, 1);
  EXPECT_EQ(made.missing_chunks, 1);
  ASSERT_EQ(made.missing.size(), 1u);
  EXPECT_THAT(made.missing[0], HasSubstr("does not match its SHA-256"));
}

}  // namespace
}  // namespace lctl::storage
