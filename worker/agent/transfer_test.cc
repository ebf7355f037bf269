// Uploads and downloads against a store in memory.
#include <grpcpp/create_channel.h>

#include <fstream>
#include <future>
#include <mutex>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/agent/download.h"
#include "worker/agent/testing/fake_coordinator.h"
#include "worker/agent/upload.h"

namespace lctl::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr int kUnavailable = 14;
constexpr int kFailedPrecondition = 9;

class TransferTest : public ::testing::Test {
 protected:
  TransferTest()
      : folder_(std::filesystem::path(testing::TempDir()) / "transfer_test"),
        channel_(grpc::CreateChannel(coordinator_.address(), grpc::InsecureChannelCredentials())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }

  Upload staged(const std::string& name, const std::string& content, int rank = 0,
                int attempt = 1) {
    Upload upload{.attempt = {JobId("abcdefghij"), attempt}, .rank = rank, .file = folder_ / name};
    upload.written.set_file(name);
    std::ofstream(upload.file, std::ios::binary) << content;
    return upload;
  }
  // In the order in which the store took them.
  std::vector<std::string> stored() {
    std::vector<std::string> names;
    for (const auto& each : coordinator_.received().checkpoints)
      names.push_back(each.commit.written().file());
    return names;
  }
  void wait_stored(std::size_t count) {
    ASSERT_TRUE(
        coordinator_.wait([&](const Received& r) { return r.checkpoints.size() >= count; }));
  }
  static std::string pattern(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + i / 65'537);
    return bytes;
  }
  absl::Status download(std::int64_t size = 0) {
    return download_checkpoint(channel_, {"id", size, folder_ / "resume.ckpt"}, cancellation_);
  }
  std::string downloaded() {
    std::ifstream in(folder_ / "resume.ckpt", std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  FakeCoordinator coordinator_;
  const std::filesystem::path folder_;
  const std::shared_ptr<grpc::Channel> channel_;
  Cancellation cancellation_;
};

TEST_F(TransferTest, EqualChunksAreSentOnce) {
  Uploader uploader(channel_, [](const Upload&, const absl::Status&) {});
  const std::string chunk = pattern(4 << 20);
  uploader.add(staged("a", chunk + chunk + "tail of a"));
  uploader.add(staged("b", chunk + "tail of b"));
  wait_stored(2);
  EXPECT_EQ(coordinator_.received().chunks, 3);
  EXPECT_EQ(coordinator_.received().checkpoints[0].content, chunk + chunk + "tail of a");
  EXPECT_EQ(coordinator_.received().checkpoints[1].content, chunk + "tail of b");
}

TEST_F(TransferTest, FailingUploadKeepsTheOrderOfItsRankAndHoldsUpNoOther) {
  coordinator_.fail_commits(kUnavailable, 1);
  Uploader uploader(channel_, [](const Upload&, const absl::Status&) {});
  uploader.add(staged("first", "1", /*rank=*/0));
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return r.chunks == 1; }));
  uploader.add(staged("second", "2", /*rank=*/0));
  uploader.add(staged("other", "3", /*rank=*/1));
  wait_stored(3);
  EXPECT_THAT(stored(), ElementsAre("other", "first", "second"));
}

TEST_F(TransferTest, RecoveryCheckpointThatIsOvertakenWhileItWaitsIsNotSent) {
  coordinator_.fail_commits(kUnavailable, 1);
  std::mutex mutex;
  std::vector<std::string> done;
  Uploader uploader(channel_, [&](const Upload& upload, const absl::Status& status) {
    EXPECT_TRUE(status.ok());
    const std::lock_guard lock(mutex);
    done.push_back(upload.written.file());
  });
  const auto of_kind = [](Upload upload, v1::CheckpointKind kind) {
    upload.written.set_kind(kind);
    return upload;
  };
  uploader.add(staged("of another", "0", /*rank=*/1));  // its failure keeps the thread busy
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return r.chunks == 1; }));
  coordinator_.fail_commits(kUnavailable, 1'000);
  uploader.add(of_kind(staged("model", "1"), v1::CHECKPOINT_KIND_MODEL));
  uploader.add(of_kind(staged("old", "2"), v1::CHECKPOINT_KIND_RECOVERY));
  Upload kept = of_kind(staged("kept", "3"), v1::CHECKPOINT_KIND_RECOVERY);
  kept.even_if_overtaken = true;
  uploader.add(kept);
  uploader.add(of_kind(staged("new", "4"), v1::CHECKPOINT_KIND_RECOVERY));
  uploader.add(of_kind(staged("stop", "5"), v1::CHECKPOINT_KIND_STOP));
  {
    const std::lock_guard lock(mutex);
    EXPECT_THAT(done, ElementsAre("old", "new"));
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "old"));
  coordinator_.fail_commits(kUnavailable, 0);
  wait_stored(4);
  std::vector<std::string> names = stored();
  std::erase(names, "of another");
  EXPECT_THAT(names, ElementsAre("model", "kept", "stop"));
}

TEST_F(TransferTest, RefusedUploadIsGivenUpWithItsReason) {
  coordinator_.fail_commits(kFailedPrecondition, 1);
  std::promise<absl::Status> done;
  Uploader uploader(channel_,
                    [&](const Upload&, const absl::Status& status) { done.set_value(status); });
  const Upload upload = staged("a", "1");
  uploader.add(upload);
  const absl::Status status = done.get_future().get();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(message_of(status)), HasSubstr("as the test asked"));
  EXPECT_FALSE(std::filesystem::exists(upload.file));
}

TEST_F(TransferTest, FileThatIsGoneWasStoredBefore) {
  std::promise<absl::Status> done;
  Uploader uploader(channel_,
                    [&](const Upload&, const absl::Status& status) { done.set_value(status); });
  Upload upload = staged("a", "1");
  std::filesystem::remove(upload.file);
  uploader.add(upload);
  EXPECT_TRUE(done.get_future().get().ok());
  EXPECT_THAT(stored(), SizeIs(0));
}

TEST_F(TransferTest, DroppedAttemptIsNotTriedAgain) {
  coordinator_.fail_commits(kUnavailable, 1);
  Uploader uploader(channel_, [](const Upload&, const absl::Status&) {});
  uploader.add(staged("replaced", "1", 0, /*attempt=*/1));
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return r.chunks == 1; }));
  uploader.drop({JobId("abcdefghij"), 1});
  uploader.add(staged("kept", "2", 0, /*attempt=*/2));
  wait_stored(1);
  EXPECT_THAT(stored(), ElementsAre("kept"));
}

TEST_F(TransferTest, BrokenDownloadGoesOnWhereItBroke) {
  const std::string content = pattern(1'000'000);
  coordinator_.put_checkpoint("id", content, /*break_after=*/200'000);
  ASSERT_TRUE(download(1'000'000).ok());
  EXPECT_EQ(downloaded(), content);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "resume.ckpt.part"));
}

TEST_F(TransferTest, EmptyCheckpointIsAFileToo) {
  coordinator_.put_checkpoint("id", "");
  ASSERT_TRUE(download().ok());
  EXPECT_TRUE(std::filesystem::exists(folder_ / "resume.ckpt"));
}

TEST_F(TransferTest, DownloadOfAnotherSizeOrHashIsRefused) {
  coordinator_.put_checkpoint("id", "content");
  EXPECT_TRUE(absl::IsDataLoss(download(8)));
  coordinator_.corrupt_downloads();
  EXPECT_TRUE(absl::IsDataLoss(download(7)));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "resume.ckpt"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "resume.ckpt.part"));
}

TEST_F(TransferTest, WhatArrivesDamagedIsFetchedOnceAgain) {
  coordinator_.put_checkpoint("id", "content");
  coordinator_.corrupt_downloads(/*times=*/1);
  ASSERT_TRUE(download(7).ok());
  EXPECT_EQ(downloaded(), "content");
  coordinator_.corrupt_downloads(/*times=*/2);
  EXPECT_TRUE(absl::IsDataLoss(download(7)));
}

TEST_F(TransferTest, DrillDamagesEveryTry) {
  coordinator_.put_checkpoint("id", "content");
  const absl::Status status =
      download_checkpoint(channel_, {"id", 7, folder_ / "resume.ckpt", true}, cancellation_);
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(std::string(message_of(status)), HasSubstr("arrived damaged"));
  EXPECT_TRUE(download(7).ok());
}

TEST_F(TransferTest, DownloadFromAStoreThatIsAwayIsGivenUp) {
  coordinator_.put_checkpoint("id", "content");
  coordinator_.shut_down();
  EXPECT_TRUE(absl::IsUnavailable(download()));
}

TEST_F(TransferTest, DownloadCanBeCalledOff) {
  coordinator_.put_checkpoint("id", pattern(1'000'000));
  coordinator_.stall_downloads();
  auto result = std::async(std::launch::async, [&] { return download(); });
  ASSERT_TRUE(coordinator_.wait_stalled_download());
  cancellation_.cancel();
  EXPECT_TRUE(absl::IsCancelled(result.get()));
  EXPECT_TRUE(absl::IsCancelled(download()));
}

}  // namespace
}  // namespace lctl::agent
