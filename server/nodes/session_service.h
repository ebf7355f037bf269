// The gRPC side of node sessions: bytes in, bytes out. Everything is decided by the NodeTable on
// its strand; heartbeats alone are answered at once, so that an agent does not take a busy disk for
// a dead server. A stream costs no thread: some hundreds of nodes are some hundreds of small
// objects.
#pragma once

#include "base/clock.h"
#include "proto/lctl/v1/session.grpc.pb.h"
#include "server/jobs/strand.h"
#include "server/nodes/node_table.h"

namespace lctl::nodes {

// Thread rule: internally locked (gRPC calls it from its own threads).
class SessionService final : public v1::NodeSession::CallbackService {
 public:
  // All outlive the service and every stream of it.
  SessionService(NodeTable& table, jobs::Strand& strand, const Clock& clock)
      : table_(table), strand_(strand), clock_(clock) {}

 private:
  using v1::NodeSession::CallbackService::Session;  // the synchronous form, which is not served
  grpc::ServerBidiReactor<v1::AgentMessage, v1::ServerMessage>* Session(
      grpc::CallbackServerContext* context) override;

  NodeTable& table_;
  jobs::Strand& strand_;
  const Clock& clock_;
};

}  // namespace lctl::nodes
