// Checkpoints between this node and the store.
#pragma once

#include <grpcpp/channel.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/checkpoint.grpc.pb.h"

namespace lctl::agent {

// One staged file to upload.
struct Upload {
  AttemptId attempt;
  int rank = 0;
  v1::CheckpointWritten written;
  std::int64_t time_us = 0;
  std::filesystem::path file;
};

// Uploads files one after another, in order: in chunks of 4 MiB of which only those that the store
// lacks are sent, then committed whole, then the file is deleted. Failures are tried again for ever with
// growing pauses, except refusals that no repetition can change.
// Thread rule: internally locked.
class Uploader {
 public:
  // `status`: OK, or why the file was given up. Called on the uploader's thread: post from it.
  using OnDone = std::function<void(const Upload&, const absl::Status& status)>;

  Uploader(std::shared_ptr<grpc::Channel> channel, OnDone on_done);
  ~Uploader();

  void add(Upload upload);
  void drop(const AttemptId& attempt);  // what waits for that attempt; a running upload ends by itself

 private:
  void run();
  absl::Status upload(const Upload& upload);

  const std::unique_ptr<v1::Checkpoints::Stub> stub_;
  const OnDone on_done_;

  std::mutex mutex_;
  // State below is protected by mutex_.
  std::condition_variable changed_;
  std::deque<Upload> queue_;
  grpc::ClientContext* context_ = nullptr;
  bool stopping_ = false;

  std::thread thread_;
};

// Fetches a checkpoint into `file`, going on behind what an interrupted download left in `file`.part.
// DataLoss when the bytes do not have the hash that the store names. Blocks.
absl::Status download_checkpoint(const std::shared_ptr<grpc::Channel>& channel, const std::string& checkpoint_id,
                                 const std::filesystem::path& file);

}  // namespace lctl::agent
