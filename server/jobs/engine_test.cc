#include "server/jobs/engine.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/testing/engine_fixture.h"
#include "storage/tracking/tracking_store.h"

namespace lctl::jobs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using storage::text_of;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(EngineTest, ViewCountsJobsAndShowsThoseThatHoldDevices) {
  const JobId first = submit(1, 2);
  const JobId second = submit(1, 2);
  submit(1, 2);
  deliver();
  EngineView view = engine_->view(/*max_active=*/10);
  EXPECT_EQ(view.unfinished[v1::JOB_STATE_RUNNING], 2);
  EXPECT_EQ(view.unfinished[v1::JOB_STATE_QUEUED], 1);
  ASSERT_EQ(view.active.size(), 2u);
  EXPECT_THAT((std::set<JobId>{view.active[0].id, view.active[1].id}),
              ElementsAre(std::min(first, second), std::max(first, second)));
  EXPECT_EQ(view.active[0].name, "digits");
  EXPECT_EQ(view.active[0].attempt, 1);
  EXPECT_EQ(view.counts.attempts_placed, 2u);
  EXPECT_GE(view.counts.scheduling_passes, 3u);
  EXPECT_FALSE(view.store_fails);
  EXPECT_EQ(engine_->view(1).active.size(), 1u);
  EXPECT_EQ(engine_->view(1).active_left_out, 1u);

  cluster_.finish_all();
  deliver();
  EXPECT_EQ(engine_->view(10).counts.finished.at(v1::JOB_STATE_SUCCEEDED), 2u);
  flaky_.failure = absl::ResourceExhaustedError("disk full");
  cluster_.finish_all();
  cluster_.deliver_all();
  engine_->settle();
  EXPECT_TRUE(engine_->view(10).store_fails);
  flaky_.failure = absl::OkStatus();
  advance(seconds(1));
  EXPECT_FALSE(engine_->view(10).store_fails);
}

TEST_F(EngineTest, SubmittedJobIsLaunchedAndEverythingIsInTheStore) {
  const JobId id = submit(1, 2);
  EXPECT_THAT(cluster_.launched(), ElementsAre(id.str() + ".1@a"));
  EXPECT_EQ(store().jobs().get(id)->state(), v1::JOB_STATE_STARTING);
  deliver();
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  cluster_.finish_all();
  deliver();
  EXPECT_EQ(state(id), v1::JOB_STATE_SUCCEEDED);
  EXPECT_THAT(history(id), ElementsAre("QUEUED", "STARTING", "RUNNING", "SUCCEEDED"));
  EXPECT_TRUE(cluster_.idle()) << "the node was told to forget";
  const auto attempts = store().jobs().attempts(id);
  ASSERT_EQ(attempts->size(), 1u);
  EXPECT_EQ((*attempts)[0].outcome(), "succeeded");
  EXPECT_EQ((*attempts)[0].ranks(1).device_index(), 1);
  EXPECT_EQ((*attempts)[0].ranks(1).state(), v1::RANK_STATE_DRAINED);
}

TEST_F(EngineTest, NothingIsLaunchedBeforeItIsDurable) {
  cluster_.on_launch = [&](const LaunchOrder& order) {
    const auto stored = store().jobs().get(order.attempt.job);
    EXPECT_EQ(stored->state(), v1::JOB_STATE_STARTING);
    EXPECT_EQ(stored->attempt(), order.attempt.number);
  };
  submit(2, 2);
  deliver();
  EXPECT_EQ(cluster_.launched().size(), 2u);
}

TEST_F(EngineTest, SameKeyIsTheSameJob) {
  const JobId first = submit(1, 1, "key");
  EXPECT_EQ(submit(1, 1, "key"), first);
  EXPECT_EQ(cluster_.launched().size(), 1u);
}

TEST_F(EngineTest, WaitingJobSaysWhyAndStartsWhenThereIsRoom) {
  const JobId first = submit(2, 2);
  const JobId second = submit(1, 1);
  deliver();
  EXPECT_EQ(
      job(second).reason(),
      "waiting: needs 1 cpu slot on one node, the largest free is 0; it starts when others end");
  v1::Job from_store = *store().jobs().get(second);
  engine_->add_live(from_store);
  EXPECT_THAT(from_store.reason(), HasSubstr("waiting: needs 1 cpu slot"));
  cluster_.finish_all();
  deliver();
  EXPECT_EQ(state(first), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(state(second), v1::JOB_STATE_RUNNING);
}

TEST_F(EngineTest, DevicesAreFreeAsSoonAsTheProcessIsGone) {
  const JobId first = submit(2, 2);
  const JobId second = submit(1, 1);
  deliver();
  cluster_.exit(a_, 0, 0);
  deliver();
  EXPECT_EQ(state(second), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(state(first), v1::JOB_STATE_RUNNING) << "its other ranks go on";
}

TEST_F(EngineTest, NextAttemptGoesOnFromTheNewestCheckpoint) {
  const JobId id = submit(1, 1);
  deliver();
  const auto checkpoint = storage::upload(store(), {.attempt = {id, 1}, .step = 40});
  cluster_.exit(a_, 0, 1);
  cluster_.drain(a_, 0);
  std::vector<LaunchOrder> orders;
  cluster_.on_launch = [&](const LaunchOrder& order) { orders.push_back(order); };
  deliver();
  ASSERT_EQ(orders.size(), 1u);
  EXPECT_EQ(orders[0].attempt.number, 2);
  EXPECT_EQ(orders[0].resume_checkpoint_id, checkpoint->str());
  EXPECT_GT(orders[0].resume_checkpoint_size, 0);
  EXPECT_EQ((*store().jobs().attempts(id))[1].resumed_at_step(), 40);
  EXPECT_EQ(job(id).restarts(), 1);
}

TEST_F(EngineTest, TrainersOwnWordsExplainTheFailure) {
  const JobId id = submit(1, 1);
  deliver();
  v1::Event event;
  event.mutable_finished()->set_outcome(v1::Finished::OUTCOME_BAD_SPEC);
  event.mutable_finished()->set_message("data.path: no such file");
  ASSERT_TRUE(store()
                  .events()
                  .apply({.attempt = {id, 1}, .rank = 0}, 0, storage::kRecordBytes,
                         {storage::record(0, event)})
                  .ok());
  cluster_.exit(a_, 0, 2);
  cluster_.drain(a_, 0);
  deliver();
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job(id).reason(), "data.path: no such file");
}

TEST_F(EngineTest, BackOffDelaysTheNextAttemptAndWakesTheLoop) {
  const JobId id = submit(1, 1);
  for (int i = 0; i < 2; ++i) {
    deliver();
    cluster_.finish_all(1);
    deliver();
  }
  EXPECT_EQ(state(id), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(job(id).reason(),
            "waiting: 1 s before attempt 3, since 2 attempts in a row left no newer checkpoint");
  ASSERT_TRUE(engine_->next_deadline());
  EXPECT_EQ(*engine_->next_deadline() - clock_.monotonic_now(), Duration(seconds(1)));
  advance(milliseconds(999));
  EXPECT_EQ(state(id), v1::JOB_STATE_QUEUED);
  advance(milliseconds(1));
  EXPECT_EQ(state(id), v1::JOB_STATE_STARTING);
  EXPECT_FALSE(engine_->next_deadline());
}

TEST_F(EngineTest, StopAndResumeComeBackWithTheJobAndLastAcrossRestarts) {
  const JobId id = submit(1, 1);
  deliver();
  EXPECT_EQ(engine_->stop(id, std::nullopt, "stopped by me")->state(), v1::JOB_STATE_STOPPING);
  EXPECT_TRUE(cluster_.node(a_).processes[0].asked_to_stop);
  cluster_.finish_all();
  deliver();
  EXPECT_EQ(state(id), v1::JOB_STATE_STOPPED);
  EXPECT_EQ(engine_->stop(id, std::nullopt, "again")->reason(), "stopped by me");
  restart_server();
  connect_all();
  EXPECT_EQ(engine_->resume(id)->state(), v1::JOB_STATE_QUEUED);
  engine_->settle();
  deliver();
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(job(id).attempt(), 2);
  EXPECT_FALSE(engine_->resume(id).ok());
  EXPECT_TRUE(absl::IsNotFound(engine_->stop(JobId{"nope"}, std::nullopt, "").status()));
}

TEST_F(EngineTest, ServerRestartStartsNothingTwice) {
  const JobId id = submit(2, 2);
  deliver();
  const auto launched = cluster_.launched();
  restart_server();
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  connect_all();
  deliver();
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(cluster_.launched(), launched);
  cluster_.finish_all();
  deliver();
  EXPECT_EQ(state(id), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(EngineTest, WhatEndedWhileTheServerWasDownIsConcludedWhenTheNodeReturns) {
  const JobId id = submit(1, 2);
  deliver();
  cluster_.server_down();
  cluster_.finish_all();
  start_server();
  connect_all();
  EXPECT_EQ(state(id), v1::JOB_STATE_SUCCEEDED);
  EXPECT_TRUE(cluster_.idle());
}

TEST_F(EngineTest, NodeThatDoesNotReturnAfterARestartIsLostWhenItsTimeIsUp) {
  const JobId id = submit(1, 2);
  deliver();
  restart_server();
  cluster_.connect(b_);
  advance(seconds(29));
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  advance(seconds(1));
  EXPECT_EQ(job(id).attempt(), 2);
  EXPECT_THAT(cluster_.launched(), Contains(id.str() + ".2@b"));
  EXPECT_EQ(job(id).restarts(), 0);
  EXPECT_EQ((*store().jobs().attempts(id))[0].outcome(), "lost");
}

TEST_F(EngineTest, ReturningNodeIsFencedAndGetsNewRanksOnlyWhenTheOldOnesAreGone) {
  const JobId id = submit(1, 2);
  deliver();
  cluster_.disconnect(a_);
  engine_->node_lost(a_, "node a has not answered for 10 s");
  engine_->settle();
  ASSERT_THAT(cluster_.launched(), Contains(id.str() + ".2@b"));
  const JobId second = submit(1, 2);
  cluster_.connect(a_);  // still runs attempt 1
  engine_->settle();
  EXPECT_EQ(state(second), v1::JOB_STATE_QUEUED) << "its slots are still taken";
  EXPECT_THAT(job(second).reason(), HasSubstr("1 node takes no new ranks just now"));
  deliver();
  EXPECT_EQ(state(second), v1::JOB_STATE_RUNNING);
  EXPECT_THAT(cluster_.violations(), IsEmpty());
}

TEST_F(EngineTest, RankThatNobodyKnowsIsStoppedAndForgotten) {
  cluster_.disconnect(a_);
  cluster_.node(a_).processes.push_back({.attempt = {JobId{"deleted"}, 3}, .rank = 0});
  cluster_.connect(a_);
  engine_->settle();
  deliver();
  EXPECT_TRUE(cluster_.idle());
}

TEST_F(EngineTest, RunOfItsOwnScriptIsNotTheEnginesToTouch) {
  const auto run = store().tracking().create_run({.name = "run"});
  ASSERT_TRUE(run.ok());
  for (const absl::Status& status :
       {engine_->stop(run->id, std::nullopt, "x").status(), engine_->resume(run->id).status()}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status));
    EXPECT_THAT(status.ToString(), HasSubstr("its own script"));
  }
  restart_server();
  connect_all();
  EXPECT_TRUE(engine_->view(10).unfinished.empty());
  EXPECT_EQ(store().tracking().run(run->id)->state, v1::JOB_STATE_RUNNING);
}

TEST_F(EngineTest, SubmitFailsWholeWhenTheStoreCannotCommit) {
  flaky_.failure = absl::ResourceExhaustedError("disk full");
  const auto refused = engine_->submit(spec(1, 1), "me@here", "k");
  EXPECT_EQ(text_of(refused.status()), "RESOURCE_EXHAUSTED: the job was not accepted: disk full");
  flaky_.failure = absl::OkStatus();
  engine_->settle();
  EXPECT_THAT(cluster_.launched(), IsEmpty());
  EXPECT_THAT(*store().jobs().list({}), IsEmpty());
}

TEST_F(EngineTest, RequestThatCannotBeCommittedChangesNothing) {
  const JobId id = submit(1, 1);
  deliver();
  flaky_.failure = absl::UnavailableError("locked");
  EXPECT_EQ(text_of(engine_->stop(id, std::nullopt, "x").status()),
            "UNAVAILABLE: the request was not carried out: locked");
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  EXPECT_FALSE(cluster_.node(a_).processes[0].asked_to_stop);
}

TEST_F(EngineTest, WhileTheStoreFailsNothingIsActedOnAndNothingIsForgotten) {
  const JobId id = submit(1, 1);
  deliver();
  flaky_.failure = absl::ResourceExhaustedError("disk full");
  cluster_.finish_all(1);
  deliver();
  EXPECT_EQ(cluster_.launched().size(), 1u);
  EXPECT_FALSE(cluster_.idle());
  ASSERT_TRUE(engine_->next_deadline());
  EXPECT_EQ(*engine_->next_deadline() - clock_.monotonic_now(), Duration(seconds(1)));
  flaky_.failure = absl::OkStatus();
  advance(seconds(1));
  EXPECT_EQ(cluster_.launched().size(), 2u);
  EXPECT_EQ(job(id).restarts(), 1);
  EXPECT_FALSE(engine_->next_deadline());
}

TEST_F(EngineTest, ChangeThatTheStoreRefusesForGoodGivesWayToTheStoresState) {
  const JobId id = submit(1, 1);
  deliver();
  // Another writer has moved the fencing number on: this engine's attempt is out of date.
  storage::start_attempt(store(), id, 7);
  cluster_.exit(a_, 0, 1);
  deliver();
  EXPECT_EQ(job(id).attempt(), 7);
}

TEST_F(EngineTest, WatchersSeeEveryCommittedChangeAndProgress) {
  const JobId id = submit(1, 1);
  std::vector<std::string> seen;
  const auto subscription = feed_.subscribe(id, [&](std::shared_ptr<const v1::Job> now) {
    seen.push_back(std::string(name_of(now->state())) + " " +
                   std::to_string(now->progress().global_step()));
    EXPECT_EQ(now->spec().name(), "digits");
  });
  deliver();
  v1::Progress progress;
  progress.set_global_step(5);
  engine_->progress(id, 1, progress);
  engine_->progress(id, 9, progress);  // not its attempt
  cluster_.exit(a_, 0, 0);
  deliver();
  cluster_.drain(a_, 0);
  deliver();
  EXPECT_THAT(seen, ElementsAre("RUNNING 0", "RUNNING 5", "RUNNING 5", "SUCCEEDED 0"))
      << "the last one is the store's, where no progress event was applied";
}

TEST_F(EngineTest, NodeUseCountsDevicesAndJobs) {
  const JobId id = submit(2, 1);
  deliver();
  const auto use = engine_->node_use();
  EXPECT_EQ(use.at(a_).devices_in_use, 1);
  EXPECT_THAT(use.at(b_).jobs, ElementsAre(id));
}

}  // namespace
}  // namespace lctl::jobs
