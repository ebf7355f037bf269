// gRPC's Experiments: what clients read of experiments, metrics and console output.
#pragma once

#include <chrono>

#include "proto/lctl/v1/tracking.grpc.pb.h"
#include "server/services/open_calls.h"
#include "storage/store.h"

namespace lctl::services {

// Thread rule: internally locked.
class ExperimentsService final : public v1::Experiments::Service {
 public:
  struct Options {
    // How often a followed log asks the store for news.
    Duration poll = std::chrono::milliseconds(100);
  };

  // `store` must outlive it.
  explicit ExperimentsService(storage::Store& store) : ExperimentsService(store, Options()) {}
  ExperimentsService(storage::Store& store, Options options) : store_(store), options_(options) {}

  // Ends all followed logs.
  void shutdown() { calls_.shutdown(); }

  grpc::Status List(grpc::ServerContext* context, const v1::ListExperimentsRequest* request,
                    v1::ListExperimentsResponse* response) override;
  grpc::Status ListMetrics(grpc::ServerContext* context, const v1::ListMetricsRequest* request,
                           v1::ListMetricsResponse* response) override;
  grpc::Status GetMetric(grpc::ServerContext* context, const v1::GetMetricRequest* request,
                         v1::GetMetricResponse* response) override;
  grpc::Status GetLogs(grpc::ServerContext* context, const v1::GetLogsRequest* request,
                       grpc::ServerWriter<v1::LogChunk>* writer) override;

 private:
  storage::Store& store_;
  const Options options_;
  OpenCalls calls_;
};

}  // namespace lctl::services
