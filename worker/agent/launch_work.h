// The blocking part of a launch: folder, download, rendezvous socket, keepers.
#pragma once

#include <grpcpp/channel.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/status.h"
#include "proto/lctl/v1/session.pb.h"
#include "worker/agent/cancellation.h"
#include "worker/agent/process_start.h"
#include "worker/agent/run_folder.h"

namespace lctl::agent {

struct LaunchTools {
  std::filesystem::path trainer;
  std::filesystem::path keeper;
  std::filesystem::path lease;
  std::string address;  // of this node, for rank 0's store
  std::string boot_id;
  int cpus = 1;
  std::shared_ptr<grpc::Channel> channel;
};

struct Launched {
  std::map<int, RankProcess> ranks;
};

// Does all of it, in order; blocks for milliseconds, and for the download when there is one. When
// this node binds the rendezvous, `on_port` is called as soon as the socket listens, so that other
// nodes can start meanwhile. `cancellation` ends a download, and nothing is started after it. On an
// error no rank of this launch is left running; DataLoss: the checkpoint to go on from arrived
// damaged. Any thread.
absl::StatusOr<Launched> launch_ranks(const v1::Launch& launch, const RunFolder& folder,
                                      const LaunchTools& tools,
                                      const std::function<void(int port)>& on_port,
                                      Cancellation& cancellation);

// True for errors that another try on this node cannot change (no trainer, folder not writable).
bool is_permanent(const absl::Status& status);

}  // namespace lctl::agent
