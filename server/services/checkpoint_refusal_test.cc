// A checkpoint that a quota refuses, as an agent and the engine hear of it.
#include <optional>
#include <utility>
#include <vector>

#include "server/services/checkpoints_service.h"
#include "server/services/service_fixture.h"

namespace lctl::services {
namespace {

using storage::hex_sha256;
using testing::HasSubstr;

class CheckpointRefusalTest : public ServiceTest {
 protected:
  CheckpointRefusalTest() {
    store_.reset();
    store_ = *storage::Store::open(
        {.dir = dir(), .clock = clock_, .checkpoint_quotas = {.per_experiment_bytes = 12}});
    service_.emplace(store().checkpoints(), store().jobs(),
                     [this](const JobId& job, std::string why) {
                       told_.emplace_back(job.str(), std::move(why));
                     });
    serve({&*service_});
    stub_ = v1::Checkpoints::NewStub(channel_);
    job_ = storage::add_job(store());
    storage::start_attempt(store(), job_, 1);
  }
  void TearDown() override {
    service_->shutdown();
    stop_serving();
  }

  grpc::Status commit(std::int64_t step, const std::string& name, const std::string& content) {
    storage::put_chunks(store(), content);
    const storage::Manifest manifest =
        storage::manifest_of({{job_, 1}, step, v1::CHECKPOINT_KIND_MODEL, name, content});
    v1::CommitCheckpointRequest request;
    request.set_job_id(job_.str());
    request.set_attempt(1);
    *request.mutable_written() = manifest.written;
    request.set_sha256(manifest.sha256);
    for (const storage::ChunkRef& chunk : manifest.chunks) {
      v1::ChunkRef& message = *request.add_chunks();
      message.set_sha256(chunk.sha256);
      message.set_size(chunk.size);
    }
    grpc::ClientContext context;
    v1::CommitCheckpointResponse response;
    return stub_->Commit(&context, request, &response);
  }

  std::vector<std::pair<std::string, std::string>> told_;  // written by one call at a time
  std::optional<CheckpointsService> service_;
  std::unique_ptr<v1::Checkpoints::Stub> stub_;
  JobId job_;
};

TEST_F(CheckpointRefusalTest, AgentMayTryAgainAndTheEngineHearsOfBoth) {
  ASSERT_TRUE(commit(1, "a.ckpt", "aaaabbbb").ok());
  const grpc::Status refused = commit(2, "b.ckpt", "ccccdddd");
  // Not one of the answers after which an agent gives its file up.
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("--max-checkpoints-per-experiment"));
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_EQ(told_[0], std::pair(job_.str(), std::string()));
  EXPECT_EQ(told_[1], std::pair(job_.str(), refused.error_message()));
  ASSERT_TRUE(commit(3, "a.ckpt", "ccccdddd").ok()) << "it takes the first one's place";
  EXPECT_EQ(told_.back().second, "");
}

TEST_F(CheckpointRefusalTest, OtherFailuresAreNoMatterOfSpace) {
  job_ = JobId("nobody");
  EXPECT_EQ(commit(1, "a.ckpt", "aaaa").error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(told_.empty());
}

}  // namespace
}  // namespace lctl::services
