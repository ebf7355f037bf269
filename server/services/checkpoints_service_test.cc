#include "server/services/checkpoints_service.h"

#include <set>

#include "server/services/service_fixture.h"

namespace lctl::services {
namespace {

using storage::hex_sha256;
using testing::HasSubstr;
using testing::IsEmpty;

class CheckpointsServiceTest : public ServiceTest {
 protected:
  CheckpointsServiceTest() {
    job_ = storage::add_job(store());
    storage::start_attempt(store(), job_, 1);
    serve({&service_});
    stub_ = v1::Checkpoints::NewStub(channel_);
  }
  void TearDown() override {
    service_.shutdown();
    stop_serving();
  }

  v1::CommitCheckpointRequest commit_request(const std::string& content) const {
    const storage::Manifest manifest = storage::manifest_of({.attempt = {job_, 1}, .step = 3});
    v1::CommitCheckpointRequest request;
    request.set_job_id(job_.str());
    request.set_attempt(1);
    *request.mutable_written() = manifest.written;
    request.mutable_written()->set_size(static_cast<std::int64_t>(content.size()));
    request.set_time_us(9);
    request.set_sha256(hex_sha256(content));
    return request;
  }
  // As an agent does: ask, send what is missing, commit.
  std::string upload(const std::string& content, std::size_t chunk_bytes) {
    v1::CommitCheckpointRequest commit = commit_request(content);
    v1::FindMissingRequest ask;
    for (std::size_t i = 0; i < content.size(); i += chunk_bytes) {
      v1::ChunkRef& chunk = *commit.add_chunks();
      const std::string bytes = content.substr(i, chunk_bytes);
      chunk.set_sha256(hex_sha256(bytes));
      chunk.set_size(static_cast<std::int64_t>(bytes.size()));
      ask.add_sha256(chunk.sha256());
    }
    v1::FindMissingResponse missing;
    grpc::ClientContext asking;
    EXPECT_TRUE(stub_->FindMissing(&asking, ask, &missing).ok());
    stored_ = put(content, chunk_bytes, {missing.sha256().begin(), missing.sha256().end()});
    grpc::ClientContext committing;
    v1::CommitCheckpointResponse response;
    const grpc::Status status = stub_->Commit(&committing, commit, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.checkpoint_id();
  }
  std::int64_t put(const std::string& content, std::size_t chunk_bytes,
                   const std::set<std::string>& wanted) {
    grpc::ClientContext context;
    v1::PutChunksResponse response;
    const auto writer = stub_->PutChunks(&context, &response);
    for (std::size_t i = 0; i < content.size(); i += chunk_bytes) {
      v1::Chunk chunk;
      chunk.set_data(content.substr(i, chunk_bytes));
      chunk.set_sha256(hex_sha256(chunk.data()));
      if (wanted.contains(chunk.sha256())) {
        EXPECT_TRUE(writer->Write(chunk));
      }
    }
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.stored();
  }
  grpc::Status download(const std::string& id, std::int64_t offset, std::string& content,
                        std::vector<v1::DownloadChunk>* messages = nullptr) {
    grpc::ClientContext context;
    v1::DownloadRequest request;
    request.set_checkpoint_id(id);
    request.set_offset(offset);
    const auto reader = stub_->Download(&context, request);
    v1::DownloadChunk chunk;
    while (reader->Read(&chunk)) {
      if (!chunk.data().empty()) {
        EXPECT_EQ(chunk.offset(), offset + static_cast<std::int64_t>(content.size()));
      }
      content += chunk.data();
      if (messages != nullptr) messages->push_back(chunk);
    }
    return reader->Finish();
  }

  JobId job_;
  CheckpointsService service_{store().checkpoints(), store().jobs()};
  std::unique_ptr<v1::Checkpoints::Stub> stub_;
  std::int64_t stored_ = 0;
};

TEST_F(CheckpointsServiceTest, UploadedFileComesBackAndASecondUploadSendsNothing) {
  std::string content(10 << 20, '\0');
  std::uint32_t state = 1;
  for (char& byte : content) byte = static_cast<char>((state = state * 1'664'525 + 1) >> 24);
  const std::string id = upload(content, 4 << 20);
  EXPECT_EQ(stored_, 3);
  EXPECT_EQ(upload(content, 4 << 20), id) << "a repeated commit";
  EXPECT_EQ(stored_, 0);

  std::string whole;
  std::vector<v1::DownloadChunk> messages;
  ASSERT_TRUE(download(id, 0, whole, &messages).ok());
  EXPECT_TRUE(whole == content);
  EXPECT_EQ(messages.front().sha256(), hex_sha256(content));
  EXPECT_EQ(messages.front().total_size(), 10 << 20);
  for (const v1::DownloadChunk& message : messages) {
    EXPECT_LE(message.ByteSizeLong(), 4u << 20) << "fits gRPC's default limit";
  }
  std::string rest;
  ASSERT_TRUE(download(id, (9 << 20) + 7, rest).ok());
  EXPECT_TRUE(rest == content.substr((9 << 20) + 7));
}

TEST_F(CheckpointsServiceTest, ManySmallChunksAreStoredInSeveralGroups) {
  std::string content;
  for (int i = 0; i < 200; ++i) content += static_cast<char>(i);
  const std::string id = upload(content, 1);
  EXPECT_EQ(stored_, 200);
  std::string whole;
  ASSERT_TRUE(download(id, 0, whole).ok());
  EXPECT_TRUE(whole == content);
}

TEST_F(CheckpointsServiceTest, AChunkThatWasDamagedOnItsWayEndsTheUpload) {
  grpc::ClientContext context;
  v1::PutChunksResponse response;
  const auto writer = stub_->PutChunks(&context, &response);
  v1::Chunk chunk;
  chunk.set_data(std::string(4 << 20, 'x'));
  chunk.set_sha256(hex_sha256("something else"));
  for (int i = 0; i < 20 && writer->Write(chunk); ++i) {
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("damaged on its way"));
}

TEST_F(CheckpointsServiceTest, DownloadFromTheEndIsEmptyAndBeyondItOutOfRange) {
  const std::string id = upload("0123456789", 4);
  std::string content;
  std::vector<v1::DownloadChunk> messages;
  EXPECT_TRUE(download(id, 10, content, &messages).ok());
  EXPECT_EQ(content, "");
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].total_size(), 10);
  const grpc::Status beyond = download(id, 11, content);
  EXPECT_EQ(beyond.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_THAT(beyond.error_message(), HasSubstr("has 10 bytes"));
  EXPECT_EQ(download("nothing", 0, content).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(CheckpointsServiceTest, ListTakesAnyNameOfTheJob) {
  const std::string id = upload("0123456789", 4);
  for (const char* name : {"aaaaaaaaaa", "aaa", "digits", "@last"}) {
    grpc::ClientContext context;
    v1::ListCheckpointsRequest request;
    request.set_job_id(name);
    v1::ListCheckpointsResponse response;
    ASSERT_TRUE(stub_->List(&context, request, &response).ok()) << name;
    ASSERT_EQ(response.checkpoints_size(), 1);
    EXPECT_EQ(response.checkpoints(0).id(), id);
    EXPECT_EQ(response.checkpoints(0).job_id(), job_.str());
    EXPECT_EQ(response.checkpoints(0).attempt(), 1);
    EXPECT_EQ(response.checkpoints(0).written().global_step(), 3);
    EXPECT_EQ(response.checkpoints(0).time_us(), 9);
    EXPECT_EQ(response.checkpoints(0).stored_bytes(), 10);
  }
}

TEST_F(CheckpointsServiceTest, FalseChunkEndsTheUploadWithTheReason) {
  grpc::ClientContext context;
  v1::PutChunksResponse response;
  const auto writer = stub_->PutChunks(&context, &response);
  v1::Chunk chunk;
  chunk.set_data("abc");
  chunk.set_sha256(hex_sha256("abd"));
  writer->Write(chunk);
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("damaged on its way"));
}

TEST_F(CheckpointsServiceTest, RefusedCommitsSayWhy) {
  v1::CommitCheckpointRequest commit = commit_request("abcd");
  v1::ChunkRef& chunk = *commit.add_chunks();
  chunk.set_sha256(hex_sha256("abcd"));
  chunk.set_size(4);
  const auto code = [&](const v1::CommitCheckpointRequest& request) {
    grpc::ClientContext context;
    v1::CommitCheckpointResponse response;
    return stub_->Commit(&context, request, &response).error_code();
  };
  EXPECT_EQ(code(commit), grpc::StatusCode::ABORTED) << "its chunk was never sent";
  storage::put_chunks(store(), "abcd");
  commit.set_attempt(2);
  EXPECT_EQ(code(commit), grpc::StatusCode::FAILED_PRECONDITION) << "not the current attempt";
  commit.set_attempt(1);
  commit.set_sha256(hex_sha256("other"));
  EXPECT_EQ(code(commit), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(*store().checkpoints().list(job_), IsEmpty());
}

TEST_F(CheckpointsServiceTest, TooManyHashesAreRefused) {
  v1::FindMissingRequest request;
  for (int i = 0; i < 65'537; ++i) request.add_sha256("x");
  grpc::ClientContext context;
  v1::FindMissingResponse response;
  EXPECT_EQ(stub_->FindMissing(&context, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace lctl::services
