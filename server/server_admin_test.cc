// The whole coordinator over real gRPC, as an operator uses it: quotas, backup, restore, deletion.
#include <grpcpp/create_channel.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/lctl/v1/admin.grpc.pb.h"
#include "proto/lctl/v1/control.grpc.pb.h"
#include "server/restoring.h"
#include "server/server.h"
#include "server/testing/digits_job.h"
#include "storage/testing/manual_clock.h"
#include "storage/testing/temp_folder.h"

namespace lctl::server {
namespace {

using ::testing::HasSubstr;

// A server without nodes: jobs stay in the queue.
class ServerAdminTest : public testing::Test {
 protected:
  void serve(ServerOptions options) {
    server_.reset();
    options.listen = "127.0.0.1:0";
    auto started = Server::start(std::move(options));
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
    const auto channel =
        grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    jobs_ = v1::Jobs::NewStub(channel);
    admin_ = v1::Admin::NewStub(channel);
  }
  ServerOptions in(const std::filesystem::path& dir) {
    return {.data_dir = dir, .reserve_bytes = 0, .clock = clock_};
  }

  grpc::Status submit(const std::string& key, std::string* id = nullptr) {
    grpc::ClientContext context;
    v1::SubmitRequest request;
    request.mutable_spec()->set_config_yaml(kDigitsJob);
    request.mutable_spec()->set_config_name("digits.yaml");
    request.set_idempotency_key(key);
    request.set_submitted_by("ann@here");
    v1::SubmitResponse response;
    const grpc::Status status = jobs_->Submit(&context, request, &response);
    if (id != nullptr) *id = response.job().id();
    return status;
  }
  grpc::Status remove(const std::string& job) {
    grpc::ClientContext context;
    v1::DeleteJobRequest request;
    request.set_job(job);
    v1::DeleteJobResponse response;
    return admin_->DeleteJob(&context, request, &response);
  }
  void stop(const std::string& job) {
    grpc::ClientContext context;
    v1::StopJobRequest request;
    request.set_job(job);
    v1::Job stopped;
    ASSERT_TRUE(jobs_->Stop(&context, request, &stopped).ok());
  }
  int listed() {
    grpc::ClientContext context;
    v1::ListJobsResponse response;
    EXPECT_TRUE(jobs_->List(&context, v1::ListJobsRequest(), &response).ok());
    return response.jobs_size();
  }
  std::string back_up(const std::filesystem::path& dir) {
    grpc::ClientContext context;
    v1::BackupRequest request;
    request.set_dir(dir.string());
    const auto reader = admin_->Backup(&context, request);
    std::string folder;
    for (v1::BackupUpdate update; reader->Read(&update);) folder = update.result().folder();
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return folder;
  }
  v1::CollectGarbageResponse tidy_up(bool dry_run) {
    grpc::ClientContext context;
    v1::CollectGarbageRequest request;
    request.set_dry_run(dry_run);
    v1::CollectGarbageResponse response;
    EXPECT_TRUE(admin_->CollectGarbage(&context, request, &response).ok());
    return response;
  }

  storage::TempFolder folder_;
  storage::ManualClock clock_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::Jobs::Stub> jobs_;
  std::unique_ptr<v1::Admin::Stub> admin_;
};

TEST_F(ServerAdminTest, SubmissionBeyondTheQuotaIsRefusedWithWhatToDo) {
  ServerOptions options = in(folder_.path() / "data");
  options.quotas.unfinished_jobs_per_user = 1;
  serve(options);
  ASSERT_TRUE(submit("one").ok());
  const grpc::Status refused = submit("two");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("--max-jobs-per-user"));
  EXPECT_EQ(listed(), 1);
}

TEST_F(ServerAdminTest, RestoredServerHasTheJobsOfTheBackup) {
  serve(in(folder_.path() / "data"));
  std::string id;
  ASSERT_TRUE(submit("one", &id).ok());
  const std::string backup = back_up(folder_.path() / "backups");
  ASSERT_TRUE(submit("two").ok());
  stop(id);
  ASSERT_TRUE(remove(id).ok());
  server_.reset();

  ASSERT_TRUE(restore({.backup = backup, .data_dir = folder_.path() / "again"}, /*json=*/false));
  EXPECT_FALSE(restore({.backup = backup, .data_dir = folder_.path() / "again"}, false))
      << "it is not empty any more";
  serve(in(folder_.path() / "again"));
  EXPECT_EQ(listed(), 1);
  EXPECT_EQ(remove(id).error_code(), grpc::StatusCode::FAILED_PRECONDITION)
      << "it is in the queue again";
}

TEST_F(ServerAdminTest, RulesOfRetentionAreToldAndCarriedOut) {
  ServerOptions options = in(folder_.path() / "data");
  options.retention.keep_jobs = std::chrono::hours(24);
  serve(options);
  std::string id;
  ASSERT_TRUE(submit("one", &id).ok());
  ASSERT_TRUE(submit("two").ok());
  stop(id);
  clock_.advance(std::chrono::hours(25));
  const v1::CollectGarbageResponse told = tidy_up(/*dry_run=*/true);
  ASSERT_EQ(told.removals_size(), 1);
  EXPECT_EQ(told.removals(0).job_id(), id);
  EXPECT_EQ(told.removals(0).reason(), "it ended 25 hours ago; --keep-finished-jobs is 24 hours");
  server_->collect_garbage();  // it runs by itself, too: the pass is due
  EXPECT_EQ(listed(), 1);
  EXPECT_EQ(tidy_up(/*dry_run=*/false).removals_size(), 0);
}

}  // namespace
}  // namespace lctl::server
