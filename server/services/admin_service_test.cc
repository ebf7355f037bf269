#include "server/services/admin_service.h"

#include <optional>

#include "server/services/service_fixture.h"

namespace lctl::services {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class AdminServiceTest : public ServiceTest {
 protected:
  AdminServiceTest()
      : garbage_(store().checkpoints(), clock_),
        service_(store(),
                 {.tidy_up = [this](bool dry_run) -> absl::StatusOr<AdminService::Tidied> {
                    LCTL_ASSIGN_OR_RETURN(const auto collected, garbage_.collect_now(dry_run, {}));
                    return AdminService::Tidied{
                        {{.job = job_, .name = "digits", .bytes = 7, .reason = "old"}}, collected};
                  },
                  .remove_job = [this](const JobId& id) { return store().jobs().remove(id); }}) {
    serve({&service_});
    stub_ = v1::Admin::NewStub(channel_);
    job_ = storage::add_job(store());
    storage::start_attempt(store(), job_, 1);
    save(5, "aaaabbbb");
  }
  void TearDown() override { stop_serving(); }

  void save(std::int64_t step, const std::string& content) {
    ASSERT_TRUE(
        storage::upload(store(), {{job_, 1}, step, v1::CHECKPOINT_KIND_MODEL, "last.ckpt", content})
            .ok());
  }
  std::filesystem::path backups() const { return other_.path() / "backups"; }

  // The result of a stream, and how many messages of progress came before it.
  template <typename Update, typename Result>
  grpc::Status read(std::unique_ptr<grpc::ClientReader<Update>> reader,
                    std::optional<Result>& result) {
    Update update;
    while (reader->Read(&update)) {
      if (update.has_result()) {
        result = update.result();
      } else {
        ++messages_;
        EXPECT_FALSE(update.progress().phase().empty());
      }
    }
    return reader->Finish();
  }

  storage::TempFolder other_;
  server::GarbageCollection garbage_;
  AdminService service_;
  std::unique_ptr<v1::Admin::Stub> stub_;
  JobId job_;
  int messages_ = 0;
};

TEST_F(AdminServiceTest, BackupTellsItsProgressAndItsResult) {
  v1::BackupRequest request;
  request.set_dir(backups().string());
  grpc::ClientContext context;
  std::optional<v1::BackupResult> result;
  const grpc::Status status = read(stub_->Backup(&context, request), result);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_TRUE(result.has_value());
  EXPECT_GE(messages_, 2);
  EXPECT_EQ(result->jobs(), 1);
  EXPECT_EQ(result->chunks(), 2);
  EXPECT_THAT(result->missing(), IsEmpty());
  EXPECT_TRUE(std::filesystem::exists(result->folder() + "/manifest.json"));
}

TEST_F(AdminServiceTest, RefusalsReachTheClientInWords) {
  v1::BackupRequest request;
  request.set_dir("backups");
  grpc::ClientContext context;
  std::optional<v1::BackupResult> result;
  const grpc::Status status = read(stub_->Backup(&context, request), result);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("must be an absolute path"));
  EXPECT_FALSE(result.has_value());
}

TEST_F(AdminServiceTest, CheckTellsWhatIsWrong) {
  const std::string hex = storage::hex_sha256("bbbb");
  std::filesystem::remove(dir() / "blobs" / hex.substr(0, 2) / hex.substr(2));
  grpc::ClientContext context;
  std::optional<v1::CheckResult> result;
  ASSERT_TRUE(read(stub_->Check(&context, v1::CheckRequest()), result).ok());
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->checkpoints(), 1);
  ASSERT_EQ(result->findings_size(), 1);
  EXPECT_THAT(result->findings(0), HasSubstr("is missing"));
}

TEST_F(AdminServiceTest, ShutdownEndsWhatIsUnderWay) {
  service_.shutdown();
  grpc::ClientContext context;
  std::optional<v1::CheckResult> result;
  EXPECT_EQ(read(stub_->Check(&context, v1::CheckRequest()), result).error_code(),
            grpc::StatusCode::CANCELLED);
}

TEST_F(AdminServiceTest, VacuumTellsBothSizes) {
  grpc::ClientContext context;
  v1::VacuumResponse response;
  ASSERT_TRUE(stub_->Vacuum(&context, v1::VacuumRequest(), &response).ok());
  EXPECT_GT(response.bytes_before(), 0);
  EXPECT_GT(response.bytes_after(), 0);
}

TEST_F(AdminServiceTest, GarbageIsToldFirstAndFreedThen) {
  save(6, "aaaacccc");
  const auto collect = [&](bool dry_run) {
    grpc::ClientContext context;
    v1::CollectGarbageRequest request;
    request.set_dry_run(dry_run);
    v1::CollectGarbageResponse response;
    EXPECT_TRUE(stub_->CollectGarbage(&context, request, &response).ok());
    return response;
  };
  EXPECT_EQ(collect(true).dropped_chunks(), 1);
  EXPECT_EQ(collect(false).dropped_chunks(), 1);
  EXPECT_EQ(collect(false).dropped_chunks(), 0);
  EXPECT_EQ(garbage_.counts().freed_bytes, 4u);
  ASSERT_EQ(collect(true).removals_size(), 1);
  EXPECT_EQ(collect(true).removals(0).what(), "job");
  EXPECT_EQ(collect(true).removals(0).reason(), "old");
}

TEST_F(AdminServiceTest, JobsAreDeletedByNameOnceTheyHaveEnded) {
  const auto remove = [&] {
    grpc::ClientContext context;
    v1::DeleteJobRequest request;
    request.set_job("digits");
    v1::DeleteJobResponse response;
    const grpc::Status status = stub_->DeleteJob(&context, request, &response);
    EXPECT_EQ(response.job_id(), status.ok() ? job_.str() : "");
    return status.error_code();
  };
  EXPECT_EQ(remove(), grpc::StatusCode::FAILED_PRECONDITION);
  v1::Job job = *store().jobs().get(job_);
  job.set_state(v1::JOB_STATE_FAILED);
  const storage::JobChange change{.job = job};
  ASSERT_TRUE(store().jobs().record({&change, 1}).ok());
  EXPECT_EQ(remove(), grpc::StatusCode::OK);
  EXPECT_EQ(remove(), grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace lctl::services
