#include "storage/blobs/chunk_folder.h"

#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <fstream>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/blobs/sha256.h"
#include "storage/testing/manual_clock.h"
#include "storage/testing/no_sync.h"
#include "storage/testing/temp_folder.h"

namespace lctl::storage {
namespace {

using testing::HasSubstr;

class ChunkFolderTest : public testing::Test {
 protected:
  ChunkFolderTest() { open(); }

  void open() { chunks_ = *ChunkFolder::open(folder_.path() / "blobs", clock_); }
  std::string put(std::string_view bytes) {
    const std::string sha256 = sha256_of(bytes);
    EXPECT_TRUE(chunks_->put(sha256, bytes).ok());
    return sha256;
  }
  std::filesystem::path incoming() const { return folder_.path() / "blobs" / "incoming"; }

  TempFolder folder_;
  ManualClock clock_;
  std::unique_ptr<ChunkFolder> chunks_;
};

TEST_F(ChunkFolderTest, ChunkAndItsNameAreSyncedOnReturn) {
  const std::int64_t before = syncs_asked();
  put("abc");
  EXPECT_EQ(syncs_asked() - before, 3) << "its bytes, its new folder's name, its own name";
}

TEST_F(ChunkFolderTest, AGroupIsStoredWholeWithoutWhatIsThere) {
  put("abc");
  const std::string hashes[] = {sha256_of("abc"), sha256_of("de"), sha256_of("f")};
  const ChunkFolder::Chunk group[] = {{hashes[0], "abc"}, {hashes[1], "de"}, {hashes[2], "f"}};
  const std::int64_t before = syncs_asked();
  EXPECT_EQ(*chunks_->put_all(group), 2);
  EXPECT_EQ(syncs_asked() - before, 6) << "of each: bytes, new folder's name, own name";
  for (const ChunkFolder::Chunk& each : group) {
    EXPECT_EQ(*chunks_->read(each.sha256, static_cast<std::int64_t>(each.bytes.size())),
              each.bytes);
  }
  EXPECT_EQ(*chunks_->put_all(group), 0);
  EXPECT_EQ(*chunks_->put_all({}), 0);
  EXPECT_TRUE(std::filesystem::is_empty(incoming()));
}

TEST_F(ChunkFolderTest, ChunkIsStoredOnceUnderItsHash) {
  const std::string sha256 = sha256_of("abc");
  EXPECT_TRUE(*chunks_->put(sha256, "abc"));
  EXPECT_FALSE(*chunks_->put(sha256, "abc"));
  EXPECT_EQ(*chunks_->read(sha256, 3), "abc");
  EXPECT_TRUE(
      std::filesystem::exists(folder_.path() / "blobs" / "ba" /
                              "7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
  EXPECT_TRUE(std::filesystem::is_empty(incoming()));
}

TEST_F(ChunkFolderTest, AbsentChunkHasNoSizeAndCannotBeRead) {
  EXPECT_EQ(*chunks_->size(sha256_of("x")), std::nullopt);
  EXPECT_EQ(*chunks_->touch(sha256_of("x")), std::nullopt);
  EXPECT_EQ(chunks_->read(sha256_of("x"), 1).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ChunkFolderTest, DamagedChunkIsDataLossThatNamesTheFile) {
  const std::string sha256 = put("abcdef");
  const std::string file = chunks_->path_of(sha256).string();
  const auto overwrite = [&](std::string_view bytes) {
    std::ofstream(file, std::ios::trunc) << bytes;
    return chunks_->read(sha256, 6).status();
  };
  for (const char* bytes : {"abcdeX", "abc", "abcdefg", ""}) {
    const absl::Status status = overwrite(bytes);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << bytes;
    EXPECT_THAT(status.ToString(), HasSubstr(file));
  }
  EXPECT_TRUE(overwrite("abcdef").ok());
}

TEST_F(ChunkFolderTest, TruncatedChunkIsReplacedByTheNextPut) {
  const std::string sha256 = put("abcdef");
  std::ofstream(chunks_->path_of(sha256), std::ios::trunc) << "abc";
  EXPECT_TRUE(*chunks_->put(sha256, "abcdef"));
  EXPECT_EQ(*chunks_->read(sha256, 6), "abcdef");
}

TEST_F(ChunkFolderTest, LeftoversOfACrashAreDeletedAtOpen) {
  std::ofstream(incoming() / "abcd") << "half a chu";
  const std::string kept = put("kept");
  open();
  EXPECT_TRUE(std::filesystem::is_empty(incoming()));
  EXPECT_EQ(*chunks_->read(kept, 4), "kept");
}

TEST_F(ChunkFolderTest, OnlyWhatNobodyReliedOnLatelyIsRemoved) {
  const std::string old = put("old");
  const std::string asked_for = put("asked for");
  clock_.advance(std::chrono::hours(2));
  const std::string young = put("young");
  EXPECT_EQ(*chunks_->touch(asked_for), 9);
  const WallTime cutoff = clock_.wall_now() - std::chrono::hours(1);
  EXPECT_TRUE(*chunks_->remove_if_older(old, cutoff));
  EXPECT_FALSE(*chunks_->remove_if_older(old, cutoff)) << "gone already";
  EXPECT_FALSE(*chunks_->remove_if_older(asked_for, cutoff));
  EXPECT_FALSE(*chunks_->remove_if_older(young, cutoff));
}

TEST_F(ChunkFolderTest, AllChunksAreVisitedAndStrangersSkipped) {
  const std::set<std::string> expected = {put("one"), put("two"), put("three")};
  std::ofstream(folder_.path() / "blobs" / "ab" / "notes.txt") << "hello";
  std::set<std::string> found;
  EXPECT_TRUE(chunks_
                  ->for_each([&](const std::string& sha256, std::int64_t) {
                    found.insert(sha256);
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(found, expected);
}

// A disk that takes no more bytes, played by the limit on the size of files.
TEST_F(ChunkFolderTest, FullDiskIsResourceExhaustedAndLeavesNothing) {
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit tight = before;
  tight.rlim_cur = 64 << 10;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  const std::string large(1 << 20, 'x');
  const std::string hashes[] = {sha256_of("small"), sha256_of(large)};
  const ChunkFolder::Chunk group[] = {{hashes[0], "small"}, {hashes[1], large}};
  const absl::Status status = chunks_->put_all(group).status();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);

  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(*chunks_->size(sha256_of(large)), std::nullopt);
  EXPECT_TRUE(std::filesystem::is_empty(incoming()));
  EXPECT_TRUE(*chunks_->put(sha256_of(large), large)) << "works again when there is room";
}

TEST(Sha256Test, HexIsParsedStrictly) {
  const std::string hex = to_hex(sha256_of("abc"));
  EXPECT_EQ(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(parse_sha256(hex), sha256_of("abc"));
  EXPECT_EQ(parse_sha256(""), "");
  EXPECT_EQ(parse_sha256(std::string(64, 'A')), "");
  EXPECT_EQ(parse_sha256(std::string(64, 'g')), "");
  EXPECT_EQ(parse_sha256(std::string(62, 'a')), "");
  EXPECT_EQ(parse_sha256("../" + std::string(61, 'a')), "");
}

}  // namespace
}  // namespace lctl::storage
