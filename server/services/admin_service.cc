#include "server/services/admin_service.h"

#include <string_view>
#include <utility>

#include "base/log.h"
#include "server/services/status.h"
#include "storage/jobs/job_store.h"
#include "storage/maintenance/maintenance.h"

namespace lctl::services {
namespace {

// A client's line is redrawn some ten times a second; a store of millions of chunks has thousands
// of steps in that time.
constexpr std::int64_t kStepsPerMessage = 64;

spdlog::logger& log() {
  static spdlog::logger& named = logger("admin");
  return named;
}

// Sends progress: of each phase the first, the last and each 64th step.
template <typename Update>
class ProgressStream {
 public:
  ProgressStream(const OpenCall& call, grpc::ServerWriter<Update>& writer)
      : call_(call), writer_(writer) {}

  // False when the call is over.
  bool send(const storage::WorkProgress& now) {
    if (call_.cancelled()) return false;
    const bool same_phase = phase_ == now.phase;
    if (same_phase && now.done != now.total && now.done % kStepsPerMessage != 0) return true;
    phase_ = now.phase;
    Update update;
    update.mutable_progress()->set_phase(now.phase);
    update.mutable_progress()->set_done(now.done);
    update.mutable_progress()->set_total(now.total);
    return writer_.Write(update);
  }

 private:
  const OpenCall& call_;
  grpc::ServerWriter<Update>& writer_;
  std::string_view phase_;  // of the last message; the texts live for ever
};

}  // namespace

grpc::Status AdminService::Backup(grpc::ServerContext* context, const v1::BackupRequest* request,
                                  grpc::ServerWriter<v1::BackupUpdate>* writer) {
  const OpenCall call(calls_, *context);
  ProgressStream<v1::BackupUpdate> progress(call, *writer);
  const auto report = store_.maintenance().back_up(
      {.dir = request->dir(), .keep = request->keep()},
      [&](const storage::WorkProgress& now) { return progress.send(now); });
  if (!report.ok()) {
    log().error("backup to {} failed: {}", request->dir(), message_of(report.status()));
    return to_grpc(report.status());
  }
  log().info("backup {} is whole: {} jobs, {} checkpoints, {} chunks linked, {} copied",
             report->folder.string(), report->jobs, report->checkpoints, report->linked_chunks,
             report->copied_chunks);
  v1::BackupUpdate update;
  v1::BackupResult& result = *update.mutable_result();
  result.set_folder(report->folder.string());
  result.set_database_bytes(report->database_bytes);
  result.set_jobs(report->jobs);
  result.set_checkpoints(report->checkpoints);
  result.set_chunks(report->chunks);
  result.set_chunk_bytes(report->chunk_bytes);
  result.set_linked_chunks(report->linked_chunks);
  result.set_copied_chunks(report->copied_chunks);
  result.set_copied_bytes(report->copied_bytes);
  result.mutable_removed()->Assign(report->removed.begin(), report->removed.end());
  result.set_missing_chunks(report->missing_chunks);
  result.mutable_missing()->Assign(report->missing.begin(), report->missing.end());
  writer->Write(update);
  return grpc::Status::OK;
}

grpc::Status AdminService::Check(grpc::ServerContext* context, const v1::CheckRequest* request,
                                 grpc::ServerWriter<v1::CheckUpdate>* writer) {
  const OpenCall call(calls_, *context);
  ProgressStream<v1::CheckUpdate> progress(call, *writer);
  LCTL_GRPC_ASSIGN_OR_RETURN(
      const storage::CheckReport report,
      store_.maintenance().check(
          request->deep(), [&](const storage::WorkProgress& now) { return progress.send(now); }));
  for (const std::string& finding : report.findings) log().error("check: {}", finding);
  v1::CheckUpdate update;
  v1::CheckResult& result = *update.mutable_result();
  result.set_jobs(report.jobs);
  result.set_point_blocks(report.point_blocks);
  result.set_checkpoints(report.checkpoints);
  result.set_chunks(report.chunks);
  result.set_chunk_bytes(report.chunk_bytes);
  result.set_unused_chunks(report.unused_chunks);
  result.set_unused_bytes(report.unused_bytes);
  result.set_damaged_files(report.damaged_files);
  result.mutable_findings()->Assign(report.findings.begin(), report.findings.end());
  result.set_more_findings(report.more_findings);
  writer->Write(update);
  return grpc::Status::OK;
}

grpc::Status AdminService::Vacuum(grpc::ServerContext*, const v1::VacuumRequest*,
                                  v1::VacuumResponse* response) {
  LCTL_GRPC_ASSIGN_OR_RETURN(const storage::VacuumReport report, store_.maintenance().vacuum());
  log().info("vacuum: the database has {} bytes, {} before", report.bytes_after,
             report.bytes_before);
  response->set_bytes_before(report.bytes_before);
  response->set_bytes_after(report.bytes_after);
  return grpc::Status::OK;
}

grpc::Status AdminService::CollectGarbage(grpc::ServerContext*,
                                          const v1::CollectGarbageRequest* request,
                                          v1::CollectGarbageResponse* response) {
  LCTL_GRPC_ASSIGN_OR_RETURN(const Tidied tidied, doors_.tidy_up(request->dry_run()));
  const server::GarbageCollection::Collected& all = tidied.collected;
  response->set_dropped_chunks(all.dropped.chunks);
  response->set_dropped_bytes(all.dropped.bytes);
  response->set_unused_chunks(all.unused.chunks);
  response->set_unused_bytes(all.unused.bytes);
  for (const retention::Removal& removal : tidied.removals) {
    v1::Removal& message = *response->add_removals();
    message.set_job_id(removal.job.str());
    message.set_job_name(removal.name);
    message.set_what(retention::name_of(removal.what));
    message.set_bytes(removal.bytes);
    message.set_reason(removal.reason);
  }
  return grpc::Status::OK;
}

grpc::Status AdminService::DeleteJob(grpc::ServerContext*, const v1::DeleteJobRequest* request,
                                     v1::DeleteJobResponse* response) {
  LCTL_GRPC_ASSIGN_OR_RETURN(const JobId id, store_.jobs().resolve(request->job()));
  LCTL_GRPC_ASSIGN_OR_RETURN(const v1::Job job, store_.jobs().get(id));
  LCTL_GRPC_ASSIGN_OR_RETURN(const std::int64_t bytes, doors_.remove_job(id));
  response->set_job_id(id.str());
  response->set_job_name(job.spec().name());
  response->set_checkpoint_bytes(bytes);
  return grpc::Status::OK;
}

grpc::Status AdminService::GetHyperparameters(grpc::ServerContext*,
                                              const v1::GetHyperparametersRequest* request,
                                              v1::GetHyperparametersResponse* response) {
  LCTL_GRPC_ASSIGN_OR_RETURN(const JobId id, store_.jobs().resolve(request->job()));
  LCTL_GRPC_ASSIGN_OR_RETURN(*response->mutable_yaml(), store_.jobs().hyperparameters(id));
  return grpc::Status::OK;
}

}  // namespace lctl::services
