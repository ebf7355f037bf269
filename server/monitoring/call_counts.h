// How many gRPC calls there were, by method and status.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>
#include <mutex>
#include <string>

#include "server/monitoring/call_view.h"

namespace lctl::monitoring {

// Watches a server's calls; costs a lock at the begin and the end of a call, nothing for each
// message. Thread rule: internally locked.
class CallCounts {
 public:
  CallView view() const;

  // For ServerBuilder::experimental().SetInterceptorCreators(). Outlived by this.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> watcher();

 private:
  class Watcher;
  class Call;

  void began(const std::string& method);
  void ended(const std::string& method, const grpc::Status& status);

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  CallView view_;
};

}  // namespace lctl::monitoring
