// The long calls of a service that are open now, so that a shutdown can end them at once.
#pragma once

#include <grpcpp/server_context.h>

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <set>

#include "base/clock.h"

namespace lctl::services {

// Every long call holds an OpenCall for its whole life. After shutdown() all of them are cancelled,
// and so is any that begins later. Thread rule: internally locked.
class OpenCalls {
 public:
  // Cancels what is open; returns at once. May be called more than once.
  void shutdown();

  std::size_t count() const;

 private:
  friend class OpenCall;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::set<grpc::ServerContextBase*> contexts_;
  bool stopping_ = false;
};

// Both must outlive it. Thread rule: internally locked.
class OpenCall {
 public:
  OpenCall(OpenCalls& calls, grpc::ServerContextBase& context);
  ~OpenCall();
  OpenCall(const OpenCall&) = delete;
  OpenCall& operator=(const OpenCall&) = delete;

  // The client went away, or the server is shutting down.
  bool cancelled() const;

  // Sleeps for `pause`, or less when a shutdown begins. False when cancelled.
  bool sleep(Duration pause);

 private:
  OpenCalls& calls_;
  grpc::ServerContextBase& context_;
};

}  // namespace lctl::services
