// gRPC's Cluster: which nodes there are and how they are, draining them; the server's own
// particulars.
#pragma once

#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "proto/lctl/v1/control.grpc.pb.h"
#include "server/jobs/engine.h"
#include "server/jobs/strand.h"
#include "server/nodes/node_table.h"

namespace lctl::services {

// Thread rule: internally locked (gRPC calls it from its own threads).
class ClusterService final : public v1::Cluster::Service {
 public:
  // The references outlive the service and its calls.
  ClusterService(jobs::Strand& strand, jobs::JobsEngine& engine, const nodes::NodeTable& table,
                 v1::ServerInfo info)
      : strand_(strand), engine_(engine), table_(table), info_(std::move(info)) {}

  grpc::Status ListNodes(grpc::ServerContext* context, const v1::ListNodesRequest* request,
                         v1::ListNodesResponse* response) override;
  grpc::Status DrainNode(grpc::ServerContext* context, const v1::DrainNodeRequest* request,
                         v1::Node* response) override;
  grpc::Status UndrainNode(grpc::ServerContext* context, const v1::UndrainNodeRequest* request,
                           v1::Node* response) override;
  grpc::Status GetServerInfo(grpc::ServerContext* context, const v1::GetServerInfoRequest* request,
                             v1::ServerInfo* response) override;

 private:
  std::vector<v1::Node> nodes() const;
  v1::Node node(const NodeId& id) const;

  jobs::Strand& strand_;
  jobs::JobsEngine& engine_;
  const nodes::NodeTable& table_;
  const v1::ServerInfo info_;
};

}  // namespace lctl::services
