#include "worker/agent/file_watch.h"

#include <chrono>
#include <condition_variable>
#include <fstream>

#include "gtest/gtest.h"

namespace lctl::agent {
namespace {

using std::chrono::seconds;

class FileWatchTest : public ::testing::Test {
 protected:
  FileWatchTest() : folder_(std::filesystem::path(testing::TempDir()) / "file_watch_test") {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }

  void changed() {
    const std::lock_guard lock(mutex_);
    ++changes_;
    told_.notify_all();
  }
  // Waits until there was a change after the first `seen`; how many there were then.
  int wait_beyond(int seen) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(told_.wait_for(lock, seconds(30), [&] { return changes_ > seen; }));
    return changes_;
  }
  void write(const std::string& name) {
    std::ofstream(folder_ / name, std::ios::app) << "x" << std::flush;
  }

  const std::filesystem::path folder_;
  std::mutex mutex_;
  std::condition_variable told_;
  int changes_ = 0;
};

TEST_F(FileWatchTest, NewAndGrowingFilesAreTold) {
  FileWatch watch({"stdout"}, [this] { changed(); });
  ASSERT_TRUE(watch.add(folder_));
  write("stdout");
  const int seen = wait_beyond(0);
  // The first write may have been told in two parts: created, modified. A later one is a further
  // change.
  write("stdout");
  wait_beyond(seen);
}

TEST_F(FileWatchTest, OtherNamesAreNot) {
  FileWatch watch({"stdout"}, [this] { changed(); });
  ASSERT_TRUE(watch.add(folder_));
  for (int i = 0; i < 100; ++i) write("offsets");
  // Events come in order: had the others counted, they would have been told before this one.
  write("stdout");
  EXPECT_LE(wait_beyond(0), 2);
}

TEST_F(FileWatchTest, AbsentFolderIsRefused) {
  FileWatch watch({"stdout"}, [this] { changed(); });
  EXPECT_FALSE(watch.add(folder_ / "absent"));
  watch.remove(folder_ / "absent");
}

TEST_F(FileWatchTest, RemovedFolderIsForgotten) {
  FileWatch watch({"stdout"}, [this] { changed(); });
  ASSERT_TRUE(watch.add(folder_));
  std::filesystem::remove_all(folder_);
  watch.remove(folder_);
  std::filesystem::create_directories(folder_);
  ASSERT_TRUE(watch.add(folder_));
  write("stdout");
  wait_beyond(0);
}

}  // namespace
}  // namespace lctl::agent
