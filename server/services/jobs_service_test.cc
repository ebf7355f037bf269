#include "server/services/jobs_service.h"

#include <fmt/format.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/services/jobs_service_fixture.h"

namespace lctl::services {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

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

  list.clear_search();
  list.add_show("name DESC");
  list.add_show("val/acc");
  grpc::ClientContext context;
  v1::ListJobsResponse response;
  ASSERT_TRUE(stub_->List(&context, list, &response).ok());
  EXPECT_THAT(response.shown(), ElementsAre("name", "metrics.`val/acc`"));
  ASSERT_EQ(response.values_size(), 2);
  EXPECT_EQ(response.values(0).values(0).text(), "b-low");
  EXPECT_EQ(response.values(1).values(0).text(), "a-low");
  EXPECT_FALSE(response.values(1).values(1).has_number()) << "it has logged nothing";

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
  wrong.clear_order_by();
  for (int i = 0; i < 17; ++i) wrong.add_show("name");
  EXPECT_THAT(refusal(wrong), HasSubstr("show has 17 keys; at most 16"));
  wrong.clear_show();
  wrong.add_show("a b");
  EXPECT_THAT(refusal(wrong), HasSubstr("show: column 3"));
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
