// The fake server's maintenance: says that it did what it was asked. Part of fake_server; tests
// include fake_server.h.
#pragma once

#include <grpcpp/server_context.h>

#include <mutex>

#include "client/testing/fake_state.h"
#include "proto/lctl/v1/admin.grpc.pb.h"

namespace lctl::client {

class FakeAdmin final : public v1::Admin::Service {
 public:
  explicit FakeAdmin(FakeState& state) : state_(state) {}

  grpc::Status Backup(grpc::ServerContext*, const v1::BackupRequest* request,
                      grpc::ServerWriter<v1::BackupUpdate>* writer) override {
    const std::lock_guard lock(state_.mutex);
    ++state_.calls["Backup"];
    if (request->dir() == "/full") {
      return {grpc::StatusCode::RESOURCE_EXHAUSTED, "writing /full/lctl.db: No space left"};
    }
    send_progress(*writer);
    v1::BackupUpdate update;
    v1::BackupResult& result = *update.mutable_result();
    result.set_folder(request->dir() + "/20260131T140509Z");
    result.set_database_bytes(4096);
    result.set_jobs(3);
    result.set_checkpoints(2);
    result.set_chunks(5);
    result.set_chunk_bytes(20 << 20);
    result.set_linked_chunks(4);
    if (request->keep() > 0) result.add_removed("20250101T000000Z");
    for (const std::string& finding : state_.findings) result.add_missing(finding);
    result.set_missing_chunks(result.missing_size());
    writer->Write(update);
    return grpc::Status::OK;
  }

  grpc::Status Check(grpc::ServerContext*, const v1::CheckRequest* request,
                     grpc::ServerWriter<v1::CheckUpdate>* writer) override {
    const std::lock_guard lock(state_.mutex);
    ++state_.calls[request->deep() ? "Check deep" : "Check"];
    send_progress(*writer);
    v1::CheckUpdate update;
    v1::CheckResult& result = *update.mutable_result();
    result.set_jobs(3);
    result.set_checkpoints(2);
    result.set_chunks(5);
    result.set_chunk_bytes(20 << 20);
    result.mutable_findings()->Assign(state_.findings.begin(), state_.findings.end());
    writer->Write(update);
    return grpc::Status::OK;
  }

  grpc::Status Vacuum(grpc::ServerContext*, const v1::VacuumRequest*,
                      v1::VacuumResponse* response) override {
    const std::lock_guard lock(state_.mutex);
    ++state_.calls["Vacuum"];
    response->set_bytes_before(30 << 20);
    response->set_bytes_after(10 << 20);
    return grpc::Status::OK;
  }

  grpc::Status CollectGarbage(grpc::ServerContext*, const v1::CollectGarbageRequest* request,
                              v1::CollectGarbageResponse* response) override {
    const std::lock_guard lock(state_.mutex);
    ++state_.calls[request->dry_run() ? "CollectGarbage dry" : "CollectGarbage"];
    response->set_dropped_chunks(3);
    response->set_dropped_bytes(12 << 20);
    response->set_unused_chunks(1);
    response->set_unused_bytes(1 << 20);
    v1::Removal& removal = *response->add_removals();
    removal.set_job_id("aaaaaaaaaa");
    removal.set_job_name("digits-mlp");
    removal.set_what("logs");
    removal.set_bytes(1 << 20);
    removal.set_reason("it ended 40 days ago; --keep-logs is 30 days");
    return grpc::Status::OK;
  }

  grpc::Status DeleteJob(grpc::ServerContext*, const v1::DeleteJobRequest* request,
                         v1::DeleteJobResponse* response) override {
    const std::lock_guard lock(state_.mutex);
    ++state_.calls["DeleteJob"];
    const v1::Job* job = state_.find(request->job());
    if (job == nullptr) return {grpc::StatusCode::NOT_FOUND, "there is no such job"};
    if (job->state() < v1::JOB_STATE_SUCCEEDED) {
      return {grpc::StatusCode::FAILED_PRECONDITION, "job " + job->id() + " has not ended"};
    }
    response->set_job_id(job->id());
    response->set_job_name(job->spec().name());
    response->set_checkpoint_bytes(12 << 20);
    std::erase_if(state_.jobs,
                  [&](const v1::Job& each) { return each.id() == response->job_id(); });
    return grpc::Status::OK;
  }

  grpc::Status GetHyperparameters(grpc::ServerContext*, const v1::GetHyperparametersRequest*,
                                  v1::GetHyperparametersResponse* response) override {
    response->set_yaml("hidden: 32\n");
    return grpc::Status::OK;
  }

 private:
  template <typename Update>
  static void send_progress(grpc::ServerWriter<Update>& writer) {
    for (const std::int64_t done : {2, 5}) {
      Update update;
      update.mutable_progress()->set_phase("chunks");
      update.mutable_progress()->set_done(done);
      update.mutable_progress()->set_total(5);
      writer.Write(update);
    }
  }

  FakeState& state_;
};

}  // namespace lctl::client
