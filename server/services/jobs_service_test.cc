#include "server/services/jobs_service.h"

#include <fmt/format.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/testing/fake_cluster.h"
#include "server/services/service_fixture.h"

namespace lctl::services {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The service over real gRPC, with the real engine and store, and a simulated node of two slots.
class JobsServiceTest : public ServiceTest {
 protected:
  JobsServiceTest() : strand_(clock_) {
    node_ = cluster_.add_node("a", 2);
    engine_ = *jobs::JobsEngine::open(
        {.clock = clock_, .store = store(), .launcher = cluster_, .feed = feed_});
    cluster_.attach(engine_.get());
    strand_.start({[this] { engine_->settle(); }, [this] { return engine_->next_deadline(); }});
    service_ = std::make_unique<JobsService>(
        WatchSources{strand_, *engine_, feed_, store()},
        [](const v1::JobSpec& sent) -> absl::StatusOr<v1::JobSpec> {
          if (sent.name().empty())
            return absl::InvalidArgumentError("job.yaml:1: job.name: missing");
          return sent;
        });
    serve({service_.get()});
    stub_ = v1::Jobs::NewStub(channel_);
  }
  void TearDown() override {
    service_->shutdown();
    stop_serving();
    strand_.stop();
  }

  void connect() {
    strand_.call([&] { cluster_.connect(node_); });
  }
  void deliver() {
    settled();
    strand_.call([&] { cluster_.deliver_all(); });
    settled();
  }
  // Waits until the engine has carried out what it was told.
  void settled() {
    strand_.call([] {});
    strand_.call([] {});
  }

  static v1::SubmitRequest request(const std::string& name, const std::string& key) {
    v1::SubmitRequest request;
    request.mutable_spec()->set_name(name);
    request.mutable_spec()->set_experiment("default");
    request.mutable_spec()->set_grace_ms(30'000);
    request.mutable_spec()->mutable_resources()->set_nodes(1);
    request.mutable_spec()->mutable_resources()->set_devices_per_node(2);
    request.set_submitted_by("me@here");
    request.set_idempotency_key(key);
    return request;
  }
  v1::Job submit(const std::string& name, const std::string& key) {
    clock_.advance(Duration(1));  // the order of submission is a matter of time
    grpc::ClientContext context;
    v1::SubmitResponse response;
    const grpc::Status status = stub_->Submit(&context, request(name, key), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.job();
  }
  v1::JobDetails get(const std::string& reference) {
    grpc::ClientContext context;
    v1::GetJobRequest get;
    get.set_job(reference);
    v1::JobDetails details;
    const grpc::Status status = stub_->Get(&context, get, &details);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return details;
  }

  jobs::FakeCluster cluster_;
  jobs::JobFeed feed_;
  std::unique_ptr<jobs::JobsEngine> engine_;
  jobs::Strand strand_;
  std::unique_ptr<JobsService> service_;
  std::unique_ptr<v1::Jobs::Stub> stub_;
  NodeId node_;
};

TEST_F(JobsServiceTest, SubmittedJobCanBeFoundByIdPrefixNameAndLast) {
  const v1::Job job = submit("digits", "k1");
  EXPECT_EQ(job.state(), v1::JOB_STATE_QUEUED);
  settled();
  for (const std::string& reference :
       {job.id(), job.id().substr(0, 4), std::string("digits"), std::string("@last")}) {
    EXPECT_EQ(get(reference).job().id(), job.id()) << reference;
  }
  EXPECT_EQ(get("@last").job().reason(),
            "waiting: needs 2 cpu slots on one node, but no node is connected; it starts when such "
            "nodes join");
  EXPECT_EQ(submit("digits", "k1").id(), job.id()) << "the same key";
}

TEST_F(JobsServiceTest, BadSpecAndBadRequestsAreRefused) {
  grpc::ClientContext first;
  v1::SubmitResponse response;
  const grpc::Status bad = stub_->Submit(&first, request("", "k"), &response);
  EXPECT_EQ(bad.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(bad.error_message(), "job.yaml:1: job.name: missing");

  grpc::ClientContext second;
  EXPECT_THAT(stub_->Submit(&second, request("x", ""), &response).error_message(),
              HasSubstr("idempotency_key has 0 bytes"));

  grpc::ClientContext third;
  v1::StopJobRequest stop;
  stop.set_grace_ms(-2);
  v1::Job job;
  EXPECT_THAT(stub_->Stop(&third, stop, &job).error_message(), HasSubstr("grace_ms is -2"));

  grpc::ClientContext fourth;
  stop.set_grace_ms(0);
  stop.set_job("nothing");
  EXPECT_EQ(stub_->Stop(&fourth, stop, &job).error_code(), grpc::StatusCode::NOT_FOUND);

  grpc::ClientContext fifth;
  v1::ListJobsRequest list;
  list.set_limit(10'001);
  v1::ListJobsResponse jobs;
  EXPECT_THAT(stub_->List(&fifth, list, &jobs).error_message(), HasSubstr("limit is 10001"));
}

TEST_F(JobsServiceTest, ListIsNewestFirstWithTheReasonsOfTheMoment) {
  submit("one", "k1");
  submit("two", "k2");
  connect();
  settled();
  grpc::ClientContext context;
  v1::ListJobsResponse jobs;
  ASSERT_TRUE(stub_->List(&context, {}, &jobs).ok());
  ASSERT_EQ(jobs.jobs_size(), 2);
  EXPECT_EQ(jobs.jobs(0).spec().name(), "two");
  EXPECT_THAT(jobs.jobs(0).reason(), HasSubstr("the largest free is 0"));
  EXPECT_EQ(jobs.jobs(1).state(), v1::JOB_STATE_STARTING);
}

// Specs can have a megabyte, and ranks come in thousands: no answer may carry them all.
TEST_F(JobsServiceTest, ListComesInPagesWithoutConfigurations) {
  constexpr int kJobs = 5;
  for (int i = 0; i < kJobs; ++i) {
    grpc::ClientContext context;
    v1::SubmitRequest big = request(fmt::format("job-{}", i), fmt::format("key-{}", i));
    big.mutable_spec()->set_config_yaml(std::string(1 << 20, '#'));
    (*big.mutable_spec()->mutable_tags())["note"] = std::string(400 << 10, 'x');
    v1::SubmitResponse response;
    ASSERT_TRUE(stub_->Submit(&context, big, &response).ok());
  }
  std::vector<std::string> names;
  v1::ListJobsRequest list;
  int pages = 0;
  do {
    grpc::ClientContext context;
    v1::ListJobsResponse page;
    ASSERT_TRUE(stub_->List(&context, list, &page).ok());
    EXPECT_LT(page.ByteSizeLong(), 2u << 20);
    for (const v1::Job& job : page.jobs()) {
      EXPECT_EQ(job.spec().config_yaml(), "");
      names.push_back(job.spec().name());
    }
    list.set_before(page.next_before());
    ++pages;
  } while (!list.before().empty());
  EXPECT_THAT(names, ElementsAre("job-4", "job-3", "job-2", "job-1", "job-0"));
  EXPECT_EQ(pages, 2);
}

TEST_F(JobsServiceTest, ListSearchesAndSorts) {
  submit("b-low", "k1");
  submit("a-low", "k2");
  submit("high", "k3");
  const auto names = [&](const v1::ListJobsRequest& list) {
    grpc::ClientContext context;
    v1::ListJobsResponse response;
    const grpc::Status status = stub_->List(&context, list, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> names;
    for (const v1::Job& job : response.jobs()) names.push_back(job.spec().name());
    return names;
  };
  v1::ListJobsRequest list;
  list.set_where("name LIKE '%low' and state = 'QUEUED'");
  EXPECT_THAT(names(list), ElementsAre("a-low", "b-low"));
  list.add_order_by("name DESC");
  EXPECT_THAT(names(list), ElementsAre("b-low", "a-low"));
  list.set_search("a low");
  EXPECT_THAT(names(list), ElementsAre("a-low"));

  const auto refusal = [&](const v1::ListJobsRequest& wrong) {
    grpc::ClientContext context;
    v1::ListJobsResponse response;
    const grpc::Status status = stub_->List(&context, wrong, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  v1::ListJobsRequest wrong;
  wrong.set_where("val/loss < x");
  EXPECT_THAT(refusal(wrong), HasSubstr("where: column 12: expected a number"));
  wrong.clear_where();
  wrong.add_order_by("acc down");
  EXPECT_THAT(refusal(wrong), HasSubstr("order_by: column 5: expected ASC, DESC"));
  wrong.clear_order_by();
  wrong.set_search("--");
  EXPECT_THAT(refusal(wrong), HasSubstr("has no word"));
  for (int i = 0; i < 9; ++i) wrong.add_order_by("name");
  EXPECT_THAT(refusal(wrong), HasSubstr("order_by has 9 keys; at most 8"));
}

TEST_F(JobsServiceTest, LabelsChangeInAnyStateAndReachWatchers) {
  v1::SubmitRequest submission = request("digits", "k1");
  (*submission.mutable_spec()->mutable_tags())["team"] = "vision";
  grpc::ClientContext submitting;
  v1::SubmitResponse submitted;
  ASSERT_TRUE(stub_->Submit(&submitting, submission, &submitted).ok());
  EXPECT_EQ(submitted.job().tags().at("team"), "vision");

  grpc::ClientContext watching;
  v1::WatchJobRequest watch;
  watch.set_job("digits");
  const auto stream = stub_->Watch(&watching, watch);
  v1::Job job;
  ASSERT_TRUE(stream->Read(&job));
  EXPECT_EQ(job.tags().at("team"), "vision");

  const auto set = [&](const v1::SetLabelsRequest& change) {
    grpc::ClientContext context;
    return stub_->SetLabels(&context, change, &job);
  };
  v1::SetLabelsRequest change;
  change.set_job("digits");
  (*change.mutable_tags())["good"] = "yes";
  change.add_removed_tags("team");
  change.set_note("the best");
  ASSERT_TRUE(set(change).ok());
  EXPECT_EQ(job.note(), "the best");
  EXPECT_EQ(job.tags_size(), 1);
  while (job.note().empty() || !job.tags().contains("good")) ASSERT_TRUE(stream->Read(&job));
  watching.TryCancel();

  const grpc::Status again = set(change);
  EXPECT_EQ(again.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(again.error_message(), HasSubstr("it has no tag 'team'; it has good"));
  change.clear_removed_tags();
  change.set_note(std::string(8'001, 'n'));
  EXPECT_THAT(set(change).error_message(), HasSubstr("the note has 8001 bytes"));
  change.set_job("nothing");
  change.clear_note();
  EXPECT_EQ(set(change).error_code(), grpc::StatusCode::NOT_FOUND);

  // The state machine's copies of the job keep them, whatever it goes through.
  connect();
  deliver();
  strand_.call([&] { cluster_.finish_all(); });
  deliver();
  EXPECT_EQ(get("digits").job().state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(get("digits").job().note(), "the best");
  change.set_job("digits");
  change.set_note("");
  ASSERT_TRUE(set(change).ok());
  EXPECT_EQ(get("digits").job().note(), "");
  EXPECT_EQ(get("digits").job().tags().at("good"), "yes");
}

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

TEST_F(JobsServiceTest, TheCodeOfAJobIsKeptAndItsDiffIsSentOnlyWhenAsked) {
  v1::SubmitRequest submitted = request("mine", "k");
  submitted.mutable_source()->set_commit("0123abc");
  submitted.mutable_source()->set_changed(true);
  submitted.mutable_source()->set_diff("diff --git a/a b/a\n");
  grpc::ClientContext context;
  v1::SubmitResponse response;
  ASSERT_TRUE(stub_->Submit(&context, submitted, &response).ok());
  const v1::JobDetails details = get("mine");
  EXPECT_EQ(details.source().commit(), "0123abc");
  EXPECT_EQ(details.source().diff(), "");
  const auto source = [&](const std::string& job, v1::SourceCode* answer) {
    grpc::ClientContext asking;
    v1::GetJobRequest get;
    get.set_job(job);
    return stub_->GetSource(&asking, get, answer);
  };
  v1::SourceCode answer;
  ASSERT_TRUE(source("mine", &answer).ok());
  EXPECT_EQ(answer.diff(), "diff --git a/a b/a\n");
  submit("other", "l");
  EXPECT_FALSE(get("other").has_source());
  const grpc::Status none = source("other", &answer);
  EXPECT_EQ(none.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(none.error_message(), HasSubstr("--no-source"));
}

TEST_F(JobsServiceTest, CodeBeyondItsBoundsIsRefusedAndNothingIsQueued) {
  const auto refusal = [&](const v1::SourceCode& source) {
    v1::SubmitRequest submitted = request("mine", "k");
    *submitted.mutable_source() = source;
    grpc::ClientContext context;
    v1::SubmitResponse response;
    const grpc::Status status = stub_->Submit(&context, submitted, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  v1::SourceCode source;
  source.set_commit("main");
  EXPECT_THAT(refusal(source), HasSubstr("source.commit"));
  source.clear_commit();
  source.set_diff(std::string((1 << 20) + 1, 'x'));
  EXPECT_THAT(refusal(source), HasSubstr("source.diff has 1048577 bytes"));
  source.clear_diff();
  source.set_remote(std::string(5000, 'x'));
  EXPECT_THAT(refusal(source), HasSubstr("source.remote"));
  source.clear_remote();
  for (int i = 0; i < 101; ++i) source.add_untracked("x");
  EXPECT_THAT(refusal(source), HasSubstr("101 names"));
  EXPECT_TRUE(store().jobs().list({})->empty());
}

TEST_F(JobsServiceTest, RanksOfOneEnvironmentShareIt) {
  const v1::Job job = submit("mine", "k");
  connect();
  deliver();
  const v1::JobDetails started = get("mine");
  ASSERT_EQ(started.attempts_size(), 1);
  EXPECT_EQ(started.environments_size(), 0);
  for (int rank = 0; rank < 2; ++rank) {
    v1::Event event;
    event.mutable_ready()->set_rank(rank);
    event.mutable_ready()->mutable_environment()->set_host("gpu-1");
    (*event.mutable_ready()->mutable_environment()->mutable_versions())["libtorch"] = "2.9.0";
    const storage::StreamKey stream{
        .attempt = {JobId(job.id()), 1}, .rank = rank, .kind = storage::StreamKind::kEvents};
    ASSERT_TRUE(
        store().events().apply(stream, 0, storage::kRecordBytes, {storage::record(0, event)}).ok());
  }
  const v1::JobDetails details = get("mine");
  ASSERT_EQ(details.environments_size(), 1);
  EXPECT_EQ(details.environments(0).environment().versions().at("libtorch"), "2.9.0");
  EXPECT_THAT(details.environments(0).ranks(), ElementsAre(0, 1));
}

}  // namespace
}  // namespace lctl::services
