// What is done to a job that is there: stop, resume, stacks, drill, watch.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/services/jobs_service_fixture.h"

namespace lctl::services {
namespace {

using ::testing::HasSubstr;

TEST_F(JobsServiceTest, StacksAreAskedOfRanksThatRun) {
  const v1::Job submitted = submit("digits", "k1");
  connect();
  deliver();
  v1::WriteStacksRequest request;
  request.set_job("digits");
  v1::Job job;
  grpc::ClientContext first;
  ASSERT_TRUE(stub_->WriteStacks(&first, request, &job).ok());
  EXPECT_EQ(job.id(), submitted.id());
  strand_.call([&] { cluster_.finish_all(); });
  deliver();
  grpc::ClientContext second;
  EXPECT_EQ(stub_->WriteStacks(&second, request, &job).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  request.set_job("nothing");
  grpc::ClientContext third;
  EXPECT_EQ(stub_->WriteStacks(&third, request, &job).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(JobsServiceTest, StopAndResume) {
  const v1::Job submitted = submit("digits", "k1");
  connect();
  deliver();
  grpc::ClientContext first;
  v1::StopJobRequest stop;
  stop.set_job(submitted.id());
  v1::Job job;
  ASSERT_TRUE(stub_->Stop(&first, stop, &job).ok());
  EXPECT_EQ(job.state(), v1::JOB_STATE_STOPPING);
  EXPECT_EQ(job.reason(), "stopped by the user");
  strand_.call([&] { cluster_.finish_all(); });
  deliver();
  EXPECT_EQ(get(submitted.id()).job().state(), v1::JOB_STATE_STOPPED);

  grpc::ClientContext second;
  v1::ResumeJobRequest resume;
  resume.set_job(submitted.id());
  ASSERT_TRUE(stub_->Resume(&second, resume, &job).ok());
  EXPECT_EQ(job.state(), v1::JOB_STATE_QUEUED);
  grpc::ClientContext third;
  EXPECT_EQ(stub_->Resume(&third, resume, &job).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  settled();
  const v1::JobDetails details = get(submitted.id());
  EXPECT_EQ(details.attempts_size(), 2);
  EXPECT_EQ(details.transitions(details.transitions_size() - 1).to(), v1::JOB_STATE_STARTING);
}

TEST_F(JobsServiceTest, WatchShowsTheJobUntilItIsFinal) {
  const v1::Job submitted = submit("digits", "k1");
  grpc::ClientContext context;
  v1::WatchJobRequest watch;
  watch.set_job("digits");
  const auto stream = stub_->Watch(&context, watch);
  v1::Job job;
  ASSERT_TRUE(stream->Read(&job));
  EXPECT_EQ(job.id(), submitted.id());
  EXPECT_EQ(job.state(), v1::JOB_STATE_QUEUED);
  connect();
  do {
    ASSERT_TRUE(stream->Read(&job));
  } while (job.state() == v1::JOB_STATE_QUEUED);
  EXPECT_EQ(job.state(), v1::JOB_STATE_STARTING);
  deliver();
  ASSERT_TRUE(stream->Read(&job));
  EXPECT_EQ(job.state(), v1::JOB_STATE_RUNNING);

  // A thousand progress reports at once are one or two messages, and the newest is among them.
  strand_.call([&] {
    v1::Progress progress;
    for (int step = 1; step <= 1000; ++step) {
      progress.set_global_step(step);
      engine_->progress(JobId{submitted.id()}, 1, progress);
    }
  });
  int messages = 0;
  do {
    ASSERT_TRUE(stream->Read(&job));
    ++messages;
  } while (job.progress().global_step() < 1000);
  EXPECT_LE(messages, 2);

  strand_.call([&] { cluster_.finish_all(); });
  deliver();
  do {
    ASSERT_TRUE(stream->Read(&job));
  } while (job.state() == v1::JOB_STATE_RUNNING);
  EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_FALSE(stream->Read(&job));
  EXPECT_TRUE(stream->Finish().ok());

  grpc::ClientContext again;
  const auto late = stub_->Watch(&again, watch);
  ASSERT_TRUE(late->Read(&job));
  EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_FALSE(late->Read(&job));
  EXPECT_TRUE(late->Finish().ok());
}

TEST_F(JobsServiceTest, WatchEndsWithTheReason) {
  grpc::ClientContext unknown;
  v1::WatchJobRequest watch;
  watch.set_job("nothing");
  v1::Job job;
  const auto none = stub_->Watch(&unknown, watch);
  EXPECT_FALSE(none->Read(&job));
  EXPECT_EQ(none->Finish().error_code(), grpc::StatusCode::NOT_FOUND);

  watch.set_job(submit("digits", "k1").id());
  grpc::ClientContext cancelled;
  const auto gone = stub_->Watch(&cancelled, watch);
  ASSERT_TRUE(gone->Read(&job));
  cancelled.TryCancel();
  EXPECT_EQ(gone->Finish().error_code(), grpc::StatusCode::CANCELLED);

  grpc::ClientContext open;
  const auto stream = stub_->Watch(&open, watch);
  ASSERT_TRUE(stream->Read(&job));
  service_->shutdown();
  while (stream->Read(&job)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(JobsServiceTest, ADrillSaysWhatItDoesAndWhere) {
  const v1::Job job = submit("digits", "k");
  v1::DrillRequest request;
  request.set_job("digits");
  request.set_fault(v1::FAULT_KIND_HANG);
  request.set_rank(1);
  v1::DrillResponse response;
  const auto drill = [&] {
    grpc::ClientContext context;
    return stub_->Drill(&context, request, &response);
  };
  EXPECT_EQ(drill().error_code(), grpc::StatusCode::FAILED_PRECONDITION) << "it does not run";
  connect();
  deliver();

  request.set_duration_ms(600'001);
  grpc::Status status = drill();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("duration_ms is 600001"));
  request.set_duration_ms(-1);
  EXPECT_EQ(drill().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_duration_ms(2'000);
  request.set_rank(2);
  EXPECT_EQ(drill().error_code(), grpc::StatusCode::INVALID_ARGUMENT) << "it has ranks 0 and 1";
  request.set_rank(1);
  request.set_fault(v1::FAULT_KIND_UNSPECIFIED);
  EXPECT_THAT(drill().error_message(), HasSubstr("fault 0 is not known to this server"));
  request.set_fault(v1::FAULT_KIND_HANG);
  request.set_job("nothing");
  EXPECT_EQ(drill().error_code(), grpc::StatusCode::NOT_FOUND);

  request.set_job("digits");
  request.set_force(true);  // it has no checkpoint to go on from
  status = drill();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.job().id(), job.id());
  EXPECT_EQ(response.job().state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(response.node_name(), "a");
  EXPECT_EQ(response.duration_ms(), 2'000);
  EXPECT_EQ(response.injected_us(), unix_micros(clock_.wall_now()));
  settled();
  strand_.call([&] { EXPECT_EQ(cluster_.injected().size(), 1U); });
}

}  // namespace
}  // namespace lctl::services
