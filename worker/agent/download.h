// Checkpoints from the store to this node, for an attempt that goes on from one.
#pragma once

#include <grpcpp/channel.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/status.h"
#include "worker/agent/cancellation.h"

namespace lctl::agent {

struct Download {
  std::string checkpoint_id;
  std::int64_t size = 0;       // what the launch says; 0 = not known
  std::filesystem::path file;  // appears whole, by rename, when its hash is right
  bool damaged = false;        // a drill: one bit of what comes is another
};

// Fetches a checkpoint. A broken stream is continued behind what has come already, again and again
// as long as each try brings something, and a few times when it brings nothing. What arrives
// damaged is fetched once again from its beginning. ResourceExhausted when the disk has no room for
// it (nothing is fetched then); DataLoss when size or hash are not the store's, or the store says
// that its own copy is damaged. Blocks; `cancellation` ends it. Any thread.
absl::Status download_checkpoint(const std::shared_ptr<grpc::Channel>& channel,
                                 const Download& download, Cancellation& cancellation);

}  // namespace lctl::agent
