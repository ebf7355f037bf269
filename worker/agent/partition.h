// A drill: for a while this node neither speaks to its server nor hears it.
#pragma once

#include <grpcpp/client_context.h>

#include <mutex>
#include <set>

#include "base/clock.h"

namespace lctl::agent {

// Thread rule: internally locked.
class Partition {
 public:
  // From now on, for so long: open calls end with CANCELLED, and so does each that starts.
  void begin(Duration duration);
  bool cut() const;

  // Puts one gRPC call under the partition as long as it lives. Make it after the context and
  // before the call.
  class Call {
   public:
    Call(Partition& partition, grpc::ClientContext& context);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    Partition& partition_;
    grpc::ClientContext& context_;
  };

 private:
  bool cut_now() const { return system_clock().monotonic_now() < until_; }

  mutable std::mutex mutex_;
  // State below is protected by mutex_.
  std::set<grpc::ClientContext*> calls_;
  MonotonicTime until_{};
};

}  // namespace lctl::agent
