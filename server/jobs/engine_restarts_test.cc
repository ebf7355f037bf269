// Restarts that avoid, exclude and begin elsewhere; drained nodes; gangs that make room.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/testing/engine_fixture.h"

namespace lctl::jobs {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using storage::text_of;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class EngineRestartsTest : public EngineTest {
 protected:
  v1::JobSpec with_policy(v1::LogPolicy::Action action, std::string label = "") {
    v1::JobSpec spec = EngineTest::spec(1, 1);
    v1::LogPolicy& policy = *spec.add_log_policies();
    policy.set_pattern("Xid");
    policy.set_action(action);
    policy.set_label(std::move(label));
    return spec;
  }
  v1::JobSpec urgent(int nodes, int devices) {
    v1::JobSpec spec = EngineTest::spec(nodes, devices);
    spec.set_priority(90);
    return spec;
  }
  // The node's only process ends, and hands in what it wrote.
  void end(const NodeId& node, int code) {
    cluster_.exit(node, 0, code);
    cluster_.drain(node, 0);
    deliver();
  }
  void start_with_preemption() {
    preemption_ = {.by_priority = true, .minimum_run = minutes(10)};
    restart_server();
    connect_all();
  }
};

TEST_F(EngineRestartsTest, NextAttemptAvoidsTheNodeThatMayBeAtFault) {
  const JobId id = submit(1, 1);
  deliver();
  ASSERT_THAT(cluster_.launched(), ElementsAre(id.str() + ".1@a"));
  end(a_, 137);
  EXPECT_THAT(cluster_.launched(), Contains(id.str() + ".2@b"));
}

TEST_F(EngineRestartsTest, HungGangIsStoppedAndTheNextGoesRoundTheCulpritsNode) {
  const NodeId c = cluster_.add_node("c", 2);
  cluster_.connect(c);
  const JobId id = submit(2, 1);
  deliver();
  ASSERT_THAT(cluster_.launched(), ElementsAre(id.str() + ".1@a", id.str() + ".1@b"));
  cluster_.node(b_).processes[0].begun = 811;
  cluster_.stall(a_, 0, 812);
  deliver();
  EXPECT_TRUE(cluster_.node(a_).processes[0].asked_to_stop);
  EXPECT_THAT(job(id).reason(), HasSubstr("rank 0 waits in all_reduce #812"));
  EXPECT_EQ(engine_->view(0).counts.hangs, 1u);
  cluster_.finish_all(143);
  deliver();
  EXPECT_THAT(cluster_.launched(), Contains(id.str() + ".2@a"));
  EXPECT_THAT(cluster_.launched(), Contains(id.str() + ".2@c"));
  const auto attempts = store().jobs().attempts(id);
  EXPECT_EQ(attempts->front().cause(), v1::END_CAUSE_HUNG);
  EXPECT_EQ(attempts->front().culprit(), 1);
  EXPECT_EQ(engine_->view(0).counts.requeued[v1::END_CAUSE_HUNG], 1u);
}

TEST_F(EngineRestartsTest, StacksOfARunningJobAreAskedForAndHarmNobody) {
  const JobId id = submit(1, 1);
  EXPECT_TRUE(absl::IsFailedPrecondition(engine_->write_stacks(id).status())) << "it only starts";
  deliver();
  EXPECT_EQ(text_of(engine_->write_stacks(id).status()), "OK");
  deliver();
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  cluster_.finish_all();
  deliver();
  EXPECT_TRUE(absl::IsFailedPrecondition(engine_->write_stacks(id).status()));
  EXPECT_TRUE(absl::IsNotFound(engine_->write_stacks(JobId{"nosuchjob0"}).status()));
}

TEST_F(EngineRestartsTest, HungGangWhoseOtherNodeIsSilentIsNotWaitedForLong) {
  const JobId id = submit(2, 1);
  deliver();
  cluster_.disconnect(b_);
  cluster_.stall(a_, 0, 812);
  deliver();
  EXPECT_FALSE(cluster_.node(a_).processes[0].asked_to_stop);
  ASSERT_TRUE(engine_->next_deadline().has_value());
  EXPECT_LE(*engine_->next_deadline(), clock_.monotonic_now() + seconds(8));
  advance(seconds(8));
  EXPECT_TRUE(cluster_.node(a_).processes[0].asked_to_stop);
  EXPECT_THAT(job(id).reason(), HasSubstr("rank 0 (node a) hangs"));
}

TEST_F(EngineRestartsTest, NodeThatMayBeAtFaultIsStillKnownAfterARestart) {
  const JobId id = submit(1, 1);
  deliver();
  cluster_.disconnect(b_);
  cluster_.exit(a_, 0, 137);
  cluster_.drain(a_, 0);
  cluster_.deliver_all();
  engine_->node_unavailable(a_);
  engine_->settle();
  ASSERT_EQ(state(id), v1::JOB_STATE_QUEUED);
  restart_server();
  connect_all();
  EXPECT_THAT(cluster_.launched(), Contains(id.str() + ".2@b"));
}

TEST_F(EngineRestartsTest, AttemptAfterAFailureBeginsWhereTheJobWantsIt) {
  v1::JobSpec spec = EngineTest::spec(1, 1);
  spec.set_restart_from(v1::RESTART_FROM_NONE);
  const JobId id = submit(spec);
  deliver();
  ASSERT_TRUE(storage::upload(store(), {.attempt = {id, 1}, .step = 40}).ok());
  end(a_, 1);
  EXPECT_EQ((*store().jobs().attempts(id))[1].resumed_from_checkpoint(), "");
}

TEST_F(EngineRestartsTest, CulpritStepAndCauseAreInTheStore) {
  const JobId id = submit(1, 1);
  deliver();
  v1::Progress progress;
  progress.set_global_step(17);
  engine_->progress(id, 1, progress);
  end(a_, 137);
  const v1::Attempt attempt = (*store().jobs().attempts(id))[0];
  EXPECT_EQ(attempt.cause(), v1::END_CAUSE_INFRASTRUCTURE);
  EXPECT_EQ(attempt.culprit(), 0);
  EXPECT_EQ(attempt.ended_at_step(), 17);
  EXPECT_EQ(attempt.blamed_node(), a_.str());
  EXPECT_EQ(engine_->view(1).counts.requeued.at(v1::END_CAUSE_INFRASTRUCTURE), 1u);
}

TEST_F(EngineRestartsTest, ExcludedNodeStaysExcludedAcrossARestart) {
  const JobId id = submit(with_policy(v1::LogPolicy::ACTION_EXCLUDE_NODE));
  deliver();
  cluster_.match(a_, 0, 0, "Xid 79");
  cluster_.match(a_, 0, 0, "Xid 79");
  deliver();
  restart_server();
  connect_all();
  ASSERT_EQ(job(id).excluded_nodes_size(), 1);
  EXPECT_EQ(job(id).excluded_nodes(0).node_name(), "a");
  end(a_, 1);
  EXPECT_THAT(cluster_.launched(), Contains(id.str() + ".2@b"));
}

TEST_F(EngineRestartsTest, RetriesStayCancelledAcrossARestart) {
  const JobId id = submit(with_policy(v1::LogPolicy::ACTION_CANCEL_RETRIES));
  deliver();
  cluster_.match(a_, 0, 0, "Xid 79");
  deliver();
  restart_server();
  connect_all();
  end(a_, 1);
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job(id).reason(), HasSubstr("not tried again: log policy `Xid` matched rank 0 on a"));
}

TEST_F(EngineRestartsTest, LabelOfALogPolicyIsATagOnceTheStoreTakesIt) {
  const JobId id = submit(with_policy(v1::LogPolicy::ACTION_LABEL, "gpu"));
  deliver();
  flaky_.failure = absl::UnavailableError("locked");
  cluster_.match(a_, 0, 0, "Xid 79");
  deliver();
  EXPECT_TRUE(job(id).tags().empty());
  flaky_.failure = absl::OkStatus();
  advance(seconds(1));
  EXPECT_EQ(job(id).tags().at("log_policy.gpu"), "Xid 79");
  EXPECT_EQ(store().jobs().get(id)->tags().at("log_policy.gpu"), "Xid 79");
}

TEST_F(EngineRestartsTest, DrainedNodeGetsNothingAndItsJobsGoOnElsewhere) {
  const JobId id = submit(1, 1);
  deliver();
  EXPECT_EQ(*engine_->drain("a", "new disk", std::nullopt), a_);
  engine_->settle();
  EXPECT_TRUE(cluster_.node(a_).processes[0].asked_to_stop);
  EXPECT_EQ(cluster_.node(a_).processes[0].grace, Duration(seconds(300)));
  EXPECT_EQ(engine_->node_use().at(a_).ranks_left, 1);
  cluster_.exit(a_, 0, 75);
  deliver();
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING) << "its checkpoint is on its way";
  EXPECT_EQ(engine_->node_use().at(a_).devices_in_use, 0);
  EXPECT_EQ(engine_->node_use().at(a_).ranks_left, 1);
  const auto checkpoint = storage::upload(store(), {.attempt = {id, 1}, .step = 9});
  cluster_.drain(a_, 0);
  deliver();
  EXPECT_THAT(cluster_.launched(), Contains(id.str() + ".2@b"));
  EXPECT_EQ((*store().jobs().attempts(id))[0].reason(), "node a is drained: new disk");
  EXPECT_EQ((*store().jobs().attempts(id))[1].resumed_from_checkpoint(), checkpoint->str());
  EXPECT_EQ(job(id).restarts(), 0);
  EXPECT_FALSE(engine_->node_use().contains(a_));
}

TEST_F(EngineRestartsTest, GangLeavesAFaultyDeviceAndNobodyIsPlacedOnIt) {
  const JobId id = submit(1, 1);
  const JobId beside = submit(1, 1);
  deliver();
  const NodeDevice device = cluster_.node(a_).processes[0].device;
  const std::vector<DeviceFault> faults = {{device, "Xid 79: fell off the bus"}};
  engine_->device_faults(a_, faults);
  engine_->settle();
  EXPECT_TRUE(cluster_.node(a_).processes[0].asked_to_stop);
  EXPECT_EQ(cluster_.node(a_).processes[0].grace, Duration(seconds(30)));
  EXPECT_FALSE(cluster_.node(a_).processes[1].asked_to_stop) << "its device is sound";
  cluster_.exit(a_, 0, 137);
  cluster_.drain(a_, 0);
  deliver();
  EXPECT_EQ((*store().jobs().attempts(id))[0].reason(),
            "CPU slot " + std::to_string(device.index) +
                " of node a must not be used: Xid 79: fell off the bus");
  EXPECT_EQ(job(id).restarts(), 0);
  EXPECT_THAT(cluster_.launched(), Contains(id.str() + ".2@b"));
  EXPECT_EQ(state(beside), v1::JOB_STATE_RUNNING);
  const JobId third = submit(1, 1);
  const JobId fourth = submit(1, 1);
  EXPECT_EQ(state(third), v1::JOB_STATE_STARTING);
  EXPECT_EQ(state(fourth), v1::JOB_STATE_QUEUED) << "there are three sound devices";
  engine_->device_faults(a_, {});
  engine_->settle();
  EXPECT_EQ(state(fourth), v1::JOB_STATE_STARTING);
}

TEST_F(EngineRestartsTest, GangWhoseDeviceIsFoundFaultyWhenItsNodeReturnsLeaves) {
  const JobId id = submit(1, 1);
  deliver();
  cluster_.disconnect(a_);
  const int faulty = cluster_.node(a_).processes[0].device.index;
  cluster_.node(a_).info.faults = {{cluster_.node(a_).processes[0].device, "Xid 48"}};
  cluster_.connect(a_);
  engine_->settle();
  EXPECT_TRUE(cluster_.node(a_).processes[0].asked_to_stop);
  cluster_.finish_all();
  deliver();
  ASSERT_EQ(state(id), v1::JOB_STATE_RUNNING);
  EXPECT_NE(job(id).ranks(0).device_index(), faulty) << "the other one of the node";
}

TEST_F(EngineRestartsTest, DrainLastsAcrossARestartUntilItIsTakenBack) {
  ASSERT_TRUE(engine_->drain(a_.str(), "new disk", std::nullopt).ok());
  restart_server();
  connect_all();
  EXPECT_EQ(engine_->drains().at(a_).reason, "new disk");
  const JobId id = submit(2, 1);
  EXPECT_THAT(job(id).reason(), HasSubstr("1 node takes no new ranks just now"));
  EXPECT_EQ(*engine_->undrain("a"), a_);
  engine_->settle();
  deliver();
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  EXPECT_TRUE(engine_->undrain("a").ok()) << "once more is fine";
}

TEST_F(EngineRestartsTest, GangOnANodeThatWasDrainedWhileItWasAwayMakesRoomWhenItReturns) {
  const JobId id = submit(1, 1);
  deliver();
  cluster_.disconnect(a_);
  ASSERT_TRUE(engine_->drain("a", "", std::nullopt).ok());
  engine_->settle();
  cluster_.connect(a_);
  engine_->settle();
  EXPECT_TRUE(cluster_.node(a_).processes[0].asked_to_stop);
  cluster_.finish_all();
  deliver();
  EXPECT_THAT(cluster_.launched(), Contains(id.str() + ".2@b"));
}

TEST_F(EngineRestartsTest, DrainThatIsNotDurableIsRefusedAndSoIsAnUnknownNode) {
  EXPECT_EQ(text_of(engine_->drain("c", "", std::nullopt).status()),
            "NOT_FOUND: there is no node 'c': those that have registered are a, b");
  flaky_.failure = absl::ResourceExhaustedError("disk full");
  EXPECT_EQ(text_of(engine_->drain("a", "", std::nullopt).status()),
            "RESOURCE_EXHAUSTED: the node was not drained: disk full");
  EXPECT_THAT(engine_->drains(), IsEmpty());
}

TEST_F(EngineRestartsTest, GangOfLowerPriorityMakesRoomAndWaitsItsTurn) {
  start_with_preemption();
  const JobId low = submit(1, 2);
  const JobId other = submit(1, 2);
  deliver();
  const JobId high = submit(urgent(1, 2));
  EXPECT_FALSE(cluster_.node(b_).processes[0].asked_to_stop) << "it has its minimum";
  ASSERT_TRUE(engine_->next_deadline());
  EXPECT_LE(*engine_->next_deadline() - clock_.monotonic_now(), Duration(minutes(10)));
  advance(minutes(10));
  // Both have run as long: one of them is asked, and only one.
  const int asked =
      cluster_.node(a_).processes[0].asked_to_stop + cluster_.node(b_).processes[0].asked_to_stop;
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(engine_->view(1).counts.preemptions, 1u);
  const NodeId left = cluster_.node(a_).processes[0].asked_to_stop ? a_ : b_;
  const JobId victim = cluster_.node(left).processes[0].attempt.job;
  for (const std::size_t process : {0u, 1u}) {
    cluster_.exit(left, process, 75);
    cluster_.drain(left, process);
  }
  deliver();
  EXPECT_EQ(state(high), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(state(victim), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(job(victim).restarts(), 0);
  EXPECT_THAT((*store().jobs().attempts(victim))[0].reason(),
              HasSubstr("goes before it (priority 90, its own is 50)"));
  EXPECT_EQ(state(victim == low ? other : low), v1::JOB_STATE_RUNNING);
  EXPECT_THAT(cluster_.violations(), IsEmpty());
}

TEST_F(EngineRestartsTest, NobodyMakesRoomUnlessTheServerWantsItOrWhenTheJobMustNot) {
  submit(2, 2);
  deliver();
  submit(urgent(1, 2));
  advance(minutes(60));
  EXPECT_FALSE(cluster_.node(a_).processes[0].asked_to_stop) << "preemption is off";

  cluster_.finish_all();
  deliver();
  cluster_.finish_all();
  deliver();
  start_with_preemption();
  v1::JobSpec steady = EngineTest::spec(2, 2);
  steady.set_never_preempt(true);
  submit(steady);
  deliver();
  submit(urgent(1, 2));
  advance(minutes(60));
  EXPECT_FALSE(cluster_.node(a_).processes[0].asked_to_stop);
}

}  // namespace
}  // namespace lctl::jobs
