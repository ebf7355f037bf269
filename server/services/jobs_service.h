// gRPC's Jobs: submit, look, search, label, stop, resume, drill, watch. Translates, checks bounds
// and delegates to the engine; decides nothing.
#pragma once

#include <functional>
#include <string>

#include "base/status.h"
#include "proto/lctl/v1/control.grpc.pb.h"
#include "server/services/job_watch.h"

namespace lctl::services {

// Thread rule: internally locked (gRPC calls it from its own threads).
class JobsService final : public v1::Jobs::WithCallbackMethod_Watch<v1::Jobs::Service> {
 public:
  // Turns a submitted spec into the one to keep, or says what is wrong with it: check_spec.
  using SpecCheck = std::function<absl::StatusOr<v1::JobSpec>(const v1::JobSpec&)>;

  // All that `sources` names outlives the service and its calls.
  JobsService(WatchSources sources, SpecCheck check)
      : sources_(sources), check_(std::move(check)), watches_(sources) {}

  // Ends all watches.
  void shutdown() { watches_.shutdown(); }

  grpc::Status Submit(grpc::ServerContext* context, const v1::SubmitRequest* request,
                      v1::SubmitResponse* response) override;
  grpc::Status Get(grpc::ServerContext* context, const v1::GetJobRequest* request,
                   v1::JobDetails* response) override;
  grpc::Status GetSource(grpc::ServerContext* context, const v1::GetJobRequest* request,
                         v1::SourceCode* response) override;
  grpc::Status List(grpc::ServerContext* context, const v1::ListJobsRequest* request,
                    v1::ListJobsResponse* response) override;
  grpc::Status Stop(grpc::ServerContext* context, const v1::StopJobRequest* request,
                    v1::Job* response) override;
  grpc::Status Resume(grpc::ServerContext* context, const v1::ResumeJobRequest* request,
                      v1::Job* response) override;
  grpc::Status WriteStacks(grpc::ServerContext* context, const v1::WriteStacksRequest* request,
                           v1::Job* response) override;
  grpc::Status Drill(grpc::ServerContext* context, const v1::DrillRequest* request,
                     v1::DrillResponse* response) override;
  grpc::Status SetLabels(grpc::ServerContext* context, const v1::SetLabelsRequest* request,
                         v1::Job* response) override;

  using WithCallbackMethod_Watch::Watch;  // the synchronous form, which is not served
  grpc::ServerWriteReactor<v1::Job>* Watch(grpc::CallbackServerContext* context,
                                           const v1::WatchJobRequest* request) override;

 private:
  const WatchSources sources_;
  const SpecCheck check_;
  JobWatches watches_;
};

}  // namespace lctl::services
