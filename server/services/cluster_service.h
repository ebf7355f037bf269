// gRPC's Cluster: which nodes there are and how they are; the server's own particulars. Reads only.
#pragma once

#include "base/clock.h"
#include "proto/lctl/v1/control.grpc.pb.h"
#include "server/jobs/engine.h"
#include "server/jobs/strand.h"
#include "server/nodes/node_table.h"

namespace lctl::services {

// Thread rule: internally locked (gRPC calls it from its own threads).
class ClusterService final : public v1::Cluster::Service {
 public:
  // The references outlive the service and its calls.
  ClusterService(jobs::Strand& strand, const jobs::JobsEngine& engine,
                 const nodes::NodeTable& table, v1::ServerInfo info)
      : strand_(strand), engine_(engine), table_(table), info_(std::move(info)) {}

  grpc::Status ListNodes(grpc::ServerContext* context, const v1::ListNodesRequest* request,
                         v1::ListNodesResponse* response) override;
  grpc::Status GetServerInfo(grpc::ServerContext* context, const v1::GetServerInfoRequest* request,
                             v1::ServerInfo* response) override;

 private:
  jobs::Strand& strand_;
  const jobs::JobsEngine& engine_;
  const nodes::NodeTable& table_;
  const v1::ServerInfo info_;
};

}  // namespace lctl::services
