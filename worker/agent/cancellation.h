// Ends blocking calls from another thread, for ever or for a while.
#pragma once

#include <grpcpp/client_context.h>

#include <mutex>
#include <set>

#include "base/clock.h"

namespace lctl::agent {

// Shared by one who works and one who may lose interest in the work.
// Thread rule: internally locked.
class Cancellation {
 public:
  // Calls that run end with CANCELLED, and so does each that starts later.
  void cancel() { cancel_until(MonotonicTime::max()); }
  // The same, but who calls when that time is over is let through again.
  void cancel_for(Duration duration) { cancel_until(system_clock().monotonic_now() + duration); }
  bool cancelled() const;

  // Puts one gRPC call under the cancellation as long as it lives. Make it after the context and
  // before the call.
  class Call {
   public:
    Call(Cancellation& cancellation, grpc::ClientContext& context);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    Cancellation& cancellation_;
    grpc::ClientContext& context_;
  };

 private:
  void cancel_until(MonotonicTime until);
  bool cancelled_now() const { return system_clock().monotonic_now() < until_; }

  mutable std::mutex mutex_;
  // State below is protected by mutex_.
  std::set<grpc::ClientContext*> calls_;
  MonotonicTime until_ = MonotonicTime::min();
};

}  // namespace lctl::agent
