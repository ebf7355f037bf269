#include "worker/trainer/data/archives/unpacked_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "worker/trainer/data/archives/test_archives.h"
#include "worker/trainer/data/bad_sample.h"

namespace lctl::archives {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class UnpackedArchiveTest : public ::testing::Test {
 protected:
  UnpackedArchiveTest() {
    options_.say = [this](const std::string& text) {
      const std::lock_guard lock(mutex_);
      said_.push_back(text);
    };
    path_ = folder_.write("photos.tgz", gzipped(TestTar().file("photos/cat/1", "1").closed()));
  }

  fs::path unpacked() { return unpacked_archive(path_, "photos.tgz", place(), options_); }
  fs::path place() const { return folder_.path("place"); }

  TestFolder folder_{testing::TempDir()};
  std::string path_;
  UnpackedArchiveOptions options_;
  std::mutex mutex_;
  std::vector<std::string> said_;
};

TEST_F(UnpackedArchiveTest, IsUnpackedOnceAndSaysSo) {
  const fs::path folder = unpacked();
  EXPECT_EQ(bytes_of_file(folder / "photos/cat/1"), "1");
  ASSERT_EQ(said_.size(), 2u);
  EXPECT_THAT(said_[0], AllOf(HasSubstr("unpacking photos.tgz"), HasSubstr(folder.string())));
  EXPECT_THAT(said_[1], HasSubstr("unpacked photos.tgz: 1 files, 1 bytes, in "));
  EXPECT_EQ(unpacked(), folder);
  EXPECT_EQ(said_.size(), 2u);
}

TEST_F(UnpackedArchiveTest, ThreadsUnpackOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([this] { EXPECT_TRUE(fs::exists(unpacked() / "photos/cat/1")); });
  for (std::thread& thread : threads) thread.join();
  int unpackings = 0;
  for (const std::string& text : said_) unpackings += text.starts_with("unpacking") ? 1 : 0;
  EXPECT_EQ(unpackings, 1);
}

TEST_F(UnpackedArchiveTest, WhatAKilledProcessLeftIsRemoved) {
  fs::create_directories(place() / "unfinished" / "old");
  fs::create_directories(place() / "files" / "old");
  const fs::path folder = unpacked();
  EXPECT_FALSE(fs::exists(folder / "old"));
  EXPECT_FALSE(fs::exists(place() / "unfinished"));
}

TEST_F(UnpackedArchiveTest, AFailureLeavesNothing) {
  path_ = folder_.write("bad.tar", TestTar().file("a", "1").file("a/b", "2").closed());
  EXPECT_THROW(unpacked(), BadSample);
  EXPECT_FALSE(fs::exists(place() / "unfinished"));
  EXPECT_FALSE(fs::exists(place() / "files"));
}

TEST_F(UnpackedArchiveTest, APlaceThatCannotBeMadeIsSaid) {
  folder_.write("place", "a file");
  EXPECT_THAT([&] { unpacked(); }, ThrowsMessage<std::runtime_error>(AllOf(
                                       HasSubstr("photos.tgz: "), HasSubstr("LCTL_DATA_CACHE"))));
}

TEST_F(UnpackedArchiveTest, FoldersInsideAreFound) {
  const fs::path folder = unpacked();
  EXPECT_EQ(folder_inside(folder, "", "x"), folder);
  EXPECT_EQ(folder_inside(folder, "photos/cat/", "x"), folder / "photos" / "cat");
  EXPECT_THAT([&] { folder_inside(folder, "photos/dog", "photos.tgz"); },
              ThrowsMessage<MisconfigurationException>(
                  AllOf(HasSubstr("photos.tgz: "), HasSubstr("'photos/dog'"), HasSubstr("cat"))));
  EXPECT_THAT([&] { folder_inside(folder, "../..", "photos.tgz"); },
              ThrowsMessage<MisconfigurationException>(HasSubstr("leads out")));
}

TEST_F(UnpackedArchiveTest, OneFolderAloneIsMeantItself) {
  const fs::path folder = unpacked();
  EXPECT_EQ(only_folder_in(folder), folder / "photos");
  EXPECT_EQ(only_folder_in(folder / "photos" / "cat"), folder / "photos" / "cat");
  fs::create_directory(folder / "more");
  EXPECT_EQ(only_folder_in(folder), folder);
}

}  // namespace
}  // namespace lctl::archives
