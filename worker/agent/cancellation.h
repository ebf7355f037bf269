// Ends blocking calls from another thread.
#pragma once

#include <grpcpp/client_context.h>

#include <mutex>
#include <set>

namespace lctl::agent {

// Shared by one who works and one who may lose interest in the work.
// Thread rule: internally locked.
class Cancellation {
 public:
  // For ever: calls that run end with CANCELLED, and so does each that starts later.
  void cancel();
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
  mutable std::mutex mutex_;
  // State below is protected by mutex_.
  std::set<grpc::ClientContext*> calls_;
  bool cancelled_ = false;
};

}  // namespace lctl::agent
