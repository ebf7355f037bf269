// The channel to one server with its stubs, and the rule by which calls are tried again.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <atomic>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "client/library/client.h"
#include "proto/lctl/v1/admin.grpc.pb.h"
#include "proto/lctl/v1/checkpoint.grpc.pb.h"
#include "proto/lctl/v1/control.grpc.pb.h"
#include "proto/lctl/v1/tracking.grpc.pb.h"

namespace lctl::client {

// gRPC's status as ours; the codes are the same. Unavailable becomes the text of
// `unreachable_text`.
absl::Status from_grpc(const grpc::Status& status, const std::string& address);

// "cannot reach lctl-server at ADDRESS: DETAIL; start one with `lctl up` or set --server /
// LCTL_SERVER"
std::string unreachable_text(const std::string& address, std::string_view detail);

// Why the connection is gone, in a few words.
std::string loss_text(const grpc::Status& status);

// True when a stream or call that ended so may be repeated: the server went away or the connection
// broke, as against an answer that says no.
bool connection_broke(const grpc::Status& status);

// HOST:PORT with a port of 1..65535; InvalidArgument with what is wrong otherwise.
absl::Status check_address(const std::string& address);

// Waits of a retry: doubling from `first` to `limit`, cut short when a connection that was gone is
// back. While no call is pending nobody but this looks after gRPC's connecting, which would
// otherwise be noticed seconds late. Thread rule: caller locks.
class Backoff {
 public:
  // `channel` outlives it.
  Backoff(grpc::Channel& channel, Duration first, Duration limit)
      : channel_(channel), first_(first), limit_(limit), next_(first) {}

  // Waits; returns within 50 ms when `stop` is requested: false then.
  bool wait(const std::stop_token& stop);
  void reset() { next_ = first_; }

 private:
  grpc::Channel& channel_;
  Duration first_;
  Duration limit_;
  Duration next_;
};

// Thread rule: internally locked (stubs are; the rest is constant but for one atomic).
struct Client::Connection {
  Connection(std::string address, ClientOptions options);

  // One unary call with the client's deadline; `repeat` = it is idempotent and may be tried again.
  template <typename Stub, typename Request, typename Response>
  absl::Status call(Stub& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response, bool repeat = true) {
    Backoff backoff(*channel, options.backoff_first, options.backoff_limit);
    const MonotonicTime started = system_clock().monotonic_now();
    grpc::Status first;  // it says best what is wrong: later ones may only say "still so"
    for (;;) {
      grpc::ClientContext context;
      set_deadline(context, options.call_timeout);
      const grpc::Status status = (stub.*method)(&context, request, response);
      if (status.ok()) {
        reached = true;
        return absl::OkStatus();
      }
      if (!connection_broke(status)) return from_grpc(status, address);
      if (first.ok()) first = status;
      if (!repeat || out_of_patience(started)) return from_grpc(first, address);
      backoff.wait({});
    }
  }

  static void set_deadline(grpc::ClientContext& context, Duration from_now);
  bool out_of_patience(MonotonicTime started) const;

  const std::string address;
  const ClientOptions options;
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::Jobs::Stub> jobs;
  const std::unique_ptr<v1::Cluster::Stub> cluster;
  const std::unique_ptr<v1::Experiments::Stub> experiments;
  const std::unique_ptr<v1::Checkpoints::Stub> checkpoints;
  const std::unique_ptr<v1::Admin::Stub> admin;
  std::atomic<bool> reached = false;  // has ever answered
};

}  // namespace lctl::client
