#include "server/garbage_collection.h"

#include <chrono>

#include "storage/testing/store_fixture.h"

namespace lctl::server {
namespace {

using std::chrono::minutes;

class GarbageCollectionTest : public storage::StoreTest {
 protected:
  GarbageCollectionTest() : garbage_(store().checkpoints(), clock_) {
    job_ = storage::add_job(store());
    storage::start_attempt(store(), job_, 1);
  }

  void save(std::int64_t step, const std::string& content) {
    ASSERT_TRUE(
        storage::upload(store(), {{job_, 1}, step, v1::CHECKPOINT_KIND_MODEL, "last.ckpt", content})
            .ok());
  }
  bool stored(std::string_view chunk) {
    const std::string sha256 = storage::hex_sha256(chunk);
    return std::filesystem::exists(dir() / "blobs" / sha256.substr(0, 2) / sha256.substr(2));
  }
  void advance(Duration by) {
    clock_.advance(by);
    garbage_.advance(stop_.get_token());
  }

  GarbageCollection garbage_;
  std::stop_source stop_;
  JobId job_;
};

TEST_F(GarbageCollectionTest, DroppedCheckpointsAreFreedWithinAMinute) {
  garbage_.advance(stop_.get_token());
  save(1, "old1");
  save(2, "new2");
  EXPECT_EQ(garbage_.next_deadline() - clock_.monotonic_now(), minutes(1));
  advance(std::chrono::seconds(59));
  EXPECT_TRUE(stored("old1")) << "not yet due";
  advance(std::chrono::seconds(1));
  EXPECT_FALSE(stored("old1"));
  EXPECT_TRUE(stored("new2"));
  EXPECT_EQ(garbage_.counts().passes, 2u);
  EXPECT_EQ(garbage_.counts().failed_passes, 0u);
  EXPECT_EQ(garbage_.counts().freed_bytes, 4u);
}

TEST_F(GarbageCollectionTest, WhatNeverBecameACheckpointIsFreedAfterAnHour) {
  garbage_.advance(stop_.get_token());
  save(1, "kept");
  storage::put_chunks(store(), "lost");
  advance(minutes(59));
  EXPECT_TRUE(stored("lost"));
  advance(minutes(2));
  EXPECT_FALSE(stored("lost"));
  EXPECT_TRUE(stored("kept"));
  storage::put_chunks(store(), "also");
  advance(minutes(62));
  EXPECT_FALSE(stored("also")) << "again and again";
}

TEST_F(GarbageCollectionTest, EndsEarlyWhenTheServerStops) {
  save(1, "old1");
  save(2, "new2");
  stop_.request_stop();
  advance(std::chrono::hours(3));
  EXPECT_TRUE(stored("old1"));
  stop_ = std::stop_source();
  advance(minutes(1));
  EXPECT_FALSE(stored("old1")) << "nothing of it was forgotten";
}

}  // namespace
}  // namespace lctl::server
