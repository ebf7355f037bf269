// The stream behind `Jobs.Watch`: one job, now and at each change, until it is final.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/status.h"
#include "proto/lctl/v1/control.grpc.pb.h"
#include "server/jobs/engine.h"
#include "server/jobs/job_feed.h"
#include "server/jobs/strand.h"
#include "storage/store.h"

namespace lctl::services {

// What a watch needs; all outlive it.
struct WatchSources {
  jobs::Strand& strand;
  jobs::JobsEngine& engine;
  jobs::JobFeed& feed;
  storage::Store& store;
};

// The open watches, so that a shutdown can end them. A watch costs no thread. A slow reader gets
// the newest state, not every one; progress at most ten times a second, a change of state at once.
// Thread rule: internally locked.
class JobWatches {
 public:
  explicit JobWatches(WatchSources sources) : sources_(sources) {}

  // `job` as a person names it.
  grpc::ServerWriteReactor<v1::Job>* open(std::string job);

  // Ends all with Unavailable, also those that are opened later.
  void shutdown();

 private:
  class Watch;

  void enter(const std::shared_ptr<Watch>& watch);
  void leave(const Watch* watch);

  const WatchSources sources_;

  std::mutex mutex_;
  // State below is protected by mutex_.
  std::map<const Watch*, std::weak_ptr<Watch>> open_;
  bool stopping_ = false;
};

}  // namespace lctl::services
