// Maintenance of the server's store.
#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <optional>
#include <utility>

#include "base/status.h"
#include "client/library/connection.h"

namespace lctl::client {
namespace {

absl::Status ended(const grpc::Status& status, const std::string& address,
                   const std::stop_token& stop) {
  if (stop.stop_requested()) return absl::CancelledError("interrupted");
  return from_grpc(status, address);
}

// One call without a deadline. It is not repeated: what it does may have been done.
template <typename Request, typename Response>
absl::StatusOr<Response> call_unbounded(
    v1::Admin::Stub& stub, const std::string& address,
    grpc::Status (v1::Admin::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
    const Request& request, const std::stop_token& stop) {
  grpc::ClientContext context;
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return ended(status, address, stop);
  return response;
}

// The result that a stream of progress ends with.
template <typename Result, typename Update>
absl::StatusOr<Result> read_result(grpc::ClientReader<Update>& reader, const std::string& address,
                                   const WorkSink& progress, const std::stop_token& stop) {
  std::optional<Result> result;
  for (Update update; reader.Read(&update);) {
    if (update.has_result()) {
      result = std::move(*update.mutable_result());
    } else if (progress) {
      progress(update.progress());
    }
  }
  const grpc::Status status = reader.Finish();
  if (!status.ok()) return ended(status, address, stop);
  if (!result) return absl::InternalError("the server ended without a result: update it");
  return *std::move(result);
}

}  // namespace

absl::StatusOr<std::string> Client::hyperparameters(const std::string& job) {
  v1::GetHyperparametersRequest request;
  request.set_job(job);
  v1::GetHyperparametersResponse response;
  LCTL_RETURN_IF_ERROR(connection_->call(*connection_->admin, &v1::Admin::Stub::GetHyperparameters,
                                         request, &response));
  return response.yaml();
}

absl::StatusOr<v1::DeleteJobResponse> Client::delete_job(const std::string& job) {
  v1::DeleteJobRequest request;
  request.set_job(job);
  // Not repeated: the first try may have deleted it, and another job may have its name then.
  return call_unbounded(*connection_->admin, connection_->address, &v1::Admin::Stub::DeleteJob,
                        request, {});
}

absl::StatusOr<v1::BackupResult> Client::back_up(const std::string& dir, int keep,
                                                 const WorkSink& progress, std::stop_token stop) {
  v1::BackupRequest request;
  request.set_dir(dir);
  request.set_keep(keep);
  grpc::ClientContext context;
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  const auto reader = connection_->admin->Backup(&context, request);
  return read_result<v1::BackupResult>(*reader, connection_->address, progress, stop);
}

absl::StatusOr<v1::CheckResult> Client::check_store(bool deep, const WorkSink& progress,
                                                    std::stop_token stop) {
  v1::CheckRequest request;
  request.set_deep(deep);
  grpc::ClientContext context;
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  const auto reader = connection_->admin->Check(&context, request);
  return read_result<v1::CheckResult>(*reader, connection_->address, progress, stop);
}

absl::StatusOr<v1::VacuumResponse> Client::vacuum(std::stop_token stop) {
  return call_unbounded(*connection_->admin, connection_->address, &v1::Admin::Stub::Vacuum,
                        v1::VacuumRequest(), stop);
}

absl::StatusOr<v1::CollectGarbageResponse> Client::collect_garbage(bool dry_run,
                                                                   std::stop_token stop) {
  v1::CollectGarbageRequest request;
  request.set_dry_run(dry_run);
  return call_unbounded(*connection_->admin, connection_->address, &v1::Admin::Stub::CollectGarbage,
                        request, stop);
}

}  // namespace lctl::client
