// Checkpoints from this node into the store.
#pragma once

#include <grpcpp/channel.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/checkpoint.grpc.pb.h"
#include "worker/agent/cancellation.h"
#include "worker/agent/process_start.h"

namespace lctl::agent {

// One staged file to upload.
struct Upload {
  AttemptId attempt;
  int rank = 0;
  v1::CheckpointWritten written;
  std::int64_t time_us = 0;
  std::filesystem::path file;
  // A recovery checkpoint that is sent although a newer one of its rank waits, too.
  bool even_if_overtaken = false;
};

// Uploads files one after another: in chunks (chunk_cuts.h) of which only those that the store
// lacks are sent, then committed whole, then the file is deleted. The files of one rank keep their
// order; one that fails is tried again for ever with growing pauses (200 ms to 10 s) while other
// ranks' go on, except after refusals that no repetition can change.
//
// A recovery checkpoint is for going on from, so one that still waits when a newer one of its rank
// (or its stop checkpoint) is there is deleted unsent: whoever restarts waits for one upload, not
// for all that a slow disk or network has left behind.
//
// Restart. Nothing is remembered here: what waits is known from the spool and the stage folder. A
// file that is gone was committed before. Thread rule: internally locked.
class Uploader {
 public:
  // `status`: OK (stored, or overtaken), or why the file was given up. Called on the uploader's
  // thread, or add()'s: post from it.
  using OnDone = std::function<void(const Upload&, const absl::Status& status)>;

  Uploader(std::shared_ptr<grpc::Channel> channel, OnDone on_done,
           std::shared_ptr<Cancellation> partition = std::make_shared<Cancellation>());
  ~Uploader();

  void add(Upload upload);
  void drop(
      const AttemptId& attempt);  // what waits for that attempt; a running upload ends by itself

 private:
  struct Waiting {
    Upload upload;
    std::uint64_t number = 0;  // in the order of add()
    Duration pause{0};         // after its last failure
    MonotonicTime not_before{};
  };

  std::vector<Upload> take_overtaken(const Upload& by);
  void run();
  Waiting* next_due(MonotonicTime now);
  void finished(std::uint64_t number, const absl::Status& status,
                std::unique_lock<std::mutex>& lock);
  absl::Status upload(const Upload& upload);
  // The hashes that the store lacks.
  absl::StatusOr<std::set<std::string>> missing(const v1::CommitCheckpointRequest& manifest);
  absl::Status send_chunks(const Upload& upload, const Descriptor& fd,
                           const v1::CommitCheckpointRequest& manifest);

  const std::unique_ptr<v1::Checkpoints::Stub> stub_;
  const OnDone on_done_;
  const std::shared_ptr<Cancellation> partition_;
  Cancellation stopping_;

  std::mutex mutex_;
  // State below is protected by mutex_.
  std::condition_variable changed_;
  std::deque<Waiting> queue_;
  std::uint64_t added_ = 0;
  std::uint64_t in_flight_ = 0;  // number of what is being uploaded; 0 = nothing

  std::thread thread_;
};

}  // namespace lctl::agent
