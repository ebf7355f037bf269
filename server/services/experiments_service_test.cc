#include "server/services/experiments_service.h"

#include <chrono>

#include "server/services/service_fixture.h"

namespace lctl::services {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ExperimentsServiceTest : public ServiceTest {
 protected:
  ExperimentsServiceTest() {
    job_ = storage::add_job(store());
    storage::start_attempt(store(), job_, 1);
    serve({&service_});
    stub_ = v1::Experiments::NewStub(channel_);
  }
  void TearDown() override {
    service_.shutdown();
    stop_serving();
  }

  void print(std::string_view text, int rank = 0) {
    const storage::StreamKey stream{{job_, 1}, rank, storage::StreamKind::kStdout};
    const std::uint64_t from = *store().events().committed_offset(stream);
    ASSERT_TRUE(store().events().append_text(stream, from, text, 7).ok());
  }
  void finish_job() {
    v1::Job job = *store().jobs().get(job_);
    job.set_state(v1::JOB_STATE_SUCCEEDED);
    const storage::JobChange change{.job = job};
    ASSERT_TRUE(store().jobs().record({&change, 1}).ok());
  }
  v1::GetLogsRequest logs_request(bool follow = false) const {
    v1::GetLogsRequest request;
    request.set_job(job_.str());
    request.set_rank(-1);
    request.set_follow(follow);
    return request;
  }
  grpc::Status logs(const v1::GetLogsRequest& request, std::vector<std::string>& texts) {
    grpc::ClientContext context;
    const auto reader = stub_->GetLogs(&context, request);
    v1::LogChunk chunk;
    while (reader->Read(&chunk)) texts.push_back(chunk.text());
    return reader->Finish();
  }
  grpc::Status get_metric(const v1::GetMetricRequest& request, v1::GetMetricResponse& response) {
    grpc::ClientContext context;
    return stub_->GetMetric(&context, request, &response);
  }

  JobId job_;
  ExperimentsService service_{store(), {.poll = std::chrono::milliseconds(2)}};
  std::unique_ptr<v1::Experiments::Stub> stub_;
};

TEST_F(ExperimentsServiceTest, ExperimentsAreListed) {
  grpc::ClientContext context;
  v1::ListExperimentsResponse response;
  ASSERT_TRUE(stub_->List(&context, {}, &response).ok());
  ASSERT_EQ(response.experiments_size(), 1);
  EXPECT_EQ(response.experiments(0).name(), "default");
  EXPECT_EQ(response.experiments(0).jobs(), 1);
  EXPECT_EQ(response.experiments(0).last_submitted_us(), 1'000);
}

TEST_F(ExperimentsServiceTest, MetricsAreSummarisedAndRead) {
  storage::log_steps(store(), {job_, 1}, 0, 50);
  grpc::ClientContext context;
  v1::ListMetricsRequest list;
  list.set_job("digits");
  v1::ListMetricsResponse metrics;
  ASSERT_TRUE(stub_->ListMetrics(&context, list, &metrics).ok());
  ASSERT_EQ(metrics.metrics_size(), 1);
  EXPECT_EQ(metrics.metrics(0).key(), "train/loss");
  EXPECT_EQ(metrics.metrics(0).points(), 50);
  EXPECT_EQ(metrics.metrics(0).last().value(), 49);
  EXPECT_EQ(metrics.metrics(0).min(), 0);
  EXPECT_EQ(metrics.metrics(0).max(), 49);

  v1::GetMetricRequest request;
  request.set_job("@last");
  request.set_key("train/loss");
  request.set_from_step(10);
  request.set_to_step(20);
  v1::GetMetricResponse response;
  ASSERT_TRUE(get_metric(request, response).ok());
  ASSERT_EQ(response.points_size(), 10);
  EXPECT_EQ(response.points(0).step(), 10);
  EXPECT_EQ(response.points(0).epoch(), 1);
  EXPECT_EQ(response.points(0).attempt(), 1);
  request.clear_from_step();
  request.clear_to_step();
  request.set_max_points(6);
  v1::GetMetricResponse thinned;
  ASSERT_TRUE(get_metric(request, thinned).ok());
  EXPECT_LE(thinned.points_size(), 6);
  EXPECT_EQ(thinned.points(0).step(), 0);
}

TEST_F(ExperimentsServiceTest, BadMetricRequestsSayWhatIsWrong) {
  storage::log_steps(store(), {job_, 1}, 0, 1);
  v1::GetMetricRequest request;
  request.set_job(job_.str());
  v1::GetMetricResponse response;
  EXPECT_EQ(get_metric(request, response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_key("train/lost");
  const grpc::Status unknown = get_metric(request, response);
  EXPECT_EQ(unknown.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(unknown.error_message(), HasSubstr("did you mean 'train/loss'?"));
  request.set_job("nobody");
  EXPECT_EQ(get_metric(request, response).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ExperimentsServiceTest, LogsComeInOrderAndEndWithoutFollow) {
  print("one\n");
  print("two\n", 1);
  print("three\n");
  std::vector<std::string> texts;
  ASSERT_TRUE(logs(logs_request(), texts).ok());
  EXPECT_THAT(texts, ElementsAre("one\n", "two\n", "three\n"));
  v1::GetLogsRequest one_rank = logs_request();
  one_rank.set_rank(1);
  texts.clear();
  ASSERT_TRUE(logs(one_rank, texts).ok());
  EXPECT_THAT(texts, ElementsAre("two\n"));
}

TEST_F(ExperimentsServiceTest, TailCutsEachStreamAtTheSameDistanceFromItsEnd) {
  print("0123456789");
  print("abc", 1);
  print("ABCDE");
  v1::GetLogsRequest request = logs_request();
  request.set_tail_bytes(7);
  std::vector<std::string> texts;
  ASSERT_TRUE(logs(request, texts).ok());
  EXPECT_THAT(texts, ElementsAre("89", "abc", "ABCDE"));
}

TEST_F(ExperimentsServiceTest, LargeChunksAreCutToFitAMessage) {
  print(std::string(3 << 20, 'x'));
  std::vector<std::string> texts;
  ASSERT_TRUE(logs(logs_request(), texts).ok());
  EXPECT_EQ(texts.size(), 3u);
}

TEST_F(ExperimentsServiceTest, FollowedLogEndsWhenTheJobIsFinalAndAllWasSent) {
  print("before\n");
  grpc::ClientContext context;
  const auto reader = stub_->GetLogs(&context, logs_request(/*follow=*/true));
  v1::LogChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  EXPECT_EQ(chunk.text(), "before\n");
  print("during\n");
  ASSERT_TRUE(reader->Read(&chunk));
  EXPECT_EQ(chunk.text(), "during\n");
  EXPECT_EQ(chunk.offset(), 7u);
  EXPECT_EQ(chunk.time_us(), 7);
  print("last words\n");
  finish_job();
  ASSERT_TRUE(reader->Read(&chunk));
  EXPECT_EQ(chunk.text(), "last words\n");
  EXPECT_FALSE(reader->Read(&chunk));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(ExperimentsServiceTest, ShutdownEndsFollowedLogsAtOnce) {
  // A poll that would take an hour: only the shutdown can end the wait.
  ExperimentsService patient(store(), {.poll = std::chrono::hours(1)});
  stop_serving();
  serve({&patient});
  stub_ = v1::Experiments::NewStub(channel_);
  print("hello\n");
  grpc::ClientContext context;
  const auto reader = stub_->GetLogs(&context, logs_request(/*follow=*/true));
  v1::LogChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  patient.shutdown();
  EXPECT_FALSE(reader->Read(&chunk));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  stop_serving();
}

TEST_F(ExperimentsServiceTest, CallAfterAShutdownIsCancelled) {
  service_.shutdown();
  std::vector<std::string> texts;
  EXPECT_EQ(logs(logs_request(true), texts).error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_THAT(texts, IsEmpty());
}

TEST_F(ExperimentsServiceTest, BadLogRequestsAreRefused) {
  std::vector<std::string> texts;
  v1::GetLogsRequest request = logs_request();
  request.set_tail_bytes(-1);
  EXPECT_EQ(logs(request, texts).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request = logs_request();
  request.set_job("nobody");
  EXPECT_EQ(logs(request, texts).error_code(), grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace lctl::services
