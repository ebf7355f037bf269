#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/blobs/checkpoint_store.h"
#include "storage/store.h"
#include "storage/testing/store_fixture.h"
#include "storage/tracking/artifact_store.h"

namespace lctl::storage {
namespace {

using ::testing::ElementsAre;

class ArtifactsTest : public StoreTest {
 protected:
  ArtifactStore& artifacts() { return store().artifacts(); }

  absl::Status put(const std::string& path, std::string_view content) {
    auto writer = artifacts().write(path);
    if (!writer.ok()) return writer.status();
    // In two pieces.
    LCTL_RETURN_IF_ERROR((*writer)->append(content.substr(0, content.size() / 2)));
    LCTL_RETURN_IF_ERROR((*writer)->append(content.substr(content.size() / 2)));
    return (*writer)->commit();
  }
  std::string get(const std::string& path) {
    const auto found = artifacts().find(path);
    if (!found.ok()) return found.status().ToString();
    std::string all;
    while (true) {
      const auto piece =
          artifacts().read(found->number, static_cast<std::int64_t>(all.size()), 5 << 20);
      if (!piece.ok()) return piece.status().ToString();
      if (piece->empty()) return all;
      all += *piece;
    }
  }
  std::vector<std::string> list(std::string_view folder) {
    std::vector<std::string> entries;
    const auto found = artifacts().list(folder);
    for (const Artifact& entry : *found) {
      entries.push_back(entry.path + (entry.folder ? "/" : ""));
    }
    return entries;
  }
};

TEST_F(ArtifactsTest, FileIsReadAsItWasWritten) {
  std::string large;
  for (int i = 0; large.size() < (9u << 20); ++i) large += std::to_string(i);
  ASSERT_TRUE(put("0/run/artifacts/large", large).ok());
  EXPECT_EQ(get("0/run/artifacts/large"), large);
  ASSERT_TRUE(put("0/run/artifacts/empty", "").ok());
  EXPECT_EQ(get("0/run/artifacts/empty"), "");
  EXPECT_TRUE(store().check_integrity().ok());
}

TEST_F(ArtifactsTest, FolderListsItsOwnEntries) {
  for (const char* path : {"r/b", "r/a/x", "r/a/y/z", "r/a-b", "r2/c", "r/a0"}) {
    ASSERT_TRUE(put(path, "x").ok());
  }
  EXPECT_THAT(list("r"), ElementsAre("r/a-b", "r/a/", "r/a0", "r/b"));
  EXPECT_THAT(list("r/a"), ElementsAre("r/a/x", "r/a/y/"));
  EXPECT_THAT(list("none"), ElementsAre());
}

TEST_F(ArtifactsTest, ReplacedFileIsNeitherMixedNorKept) {
  ASSERT_TRUE(put("r/a", "old content").ok());
  const std::int64_t old = artifacts().find("r/a")->number;
  ASSERT_TRUE(put("r/a", "new").ok());
  EXPECT_EQ(get("r/a"), "new");
  EXPECT_TRUE(absl::IsNotFound(artifacts().read(old, 0, 100).status()));
  clock_.advance(std::chrono::seconds(1));
  EXPECT_EQ(store().checkpoints().collect_dropped()->bytes, 11);
  EXPECT_EQ(get("r/a"), "new");
}

TEST_F(ArtifactsTest, ChunksOfFilesOutliveGarbageCollection) {
  ASSERT_TRUE(put("r/a", "content").ok());
  clock_.advance(std::chrono::hours(3));
  EXPECT_EQ(store().checkpoints().collect_garbage()->bytes, 0);
  EXPECT_EQ(get("r/a"), "content");
}

TEST_F(ArtifactsTest, RemovedFolderTakesAllInItAndNothingElse) {
  for (const char* path : {"r/a/x", "r/a/y", "r/ab"}) ASSERT_TRUE(put(path, path).ok());
  ASSERT_TRUE(artifacts().remove("r/a").ok());
  EXPECT_THAT(list("r"), ElementsAre("r/ab"));
  EXPECT_TRUE(absl::IsNotFound(artifacts().remove("r/a")));
}

TEST_F(ArtifactsTest, FileAndFolderOfOneNameExcludeEachOther) {
  ASSERT_TRUE(put("r/a", "x").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(put("r/a/b", "y")));
  ASSERT_TRUE(put("r/d/e", "x").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(put("r/d", "y")));
}

TEST_F(ArtifactsTest, UnfinishedUploadIsNotSeen) {
  {
    auto writer = artifacts().write("r/a");
    ASSERT_TRUE((*writer)->append("half").ok());
  }
  EXPECT_THAT(list("r"), ElementsAre());
}

TEST(ArtifactPathTest, OddPathsAreRefused) {
  for (const char* path : {"", "/", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\\b", "a\nb"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(check_artifact_path(path))) << path;
  }
  EXPECT_FALSE(check_artifact_path(std::string(1'025, 'a')).ok());
  for (const char* path : {"a", "a/b", "a b/ü.txt", "..a/b..", "%2e%2e"}) {
    EXPECT_TRUE(check_artifact_path(path).ok()) << path;
  }
}

}  // namespace
}  // namespace lctl::storage
