// Elastic jobs: on what is there, on less when a node is lost, and on more again.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/testing/engine_fixture.h"

namespace lctl::jobs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::SizeIs;

class EngineElasticTest : public EngineTest {
 protected:
  // On two nodes or one.
  v1::JobSpec elastic() {
    v1::JobSpec spec = EngineTest::spec(2, 2);
    spec.set_checkpoint_every_ms(30'000);
    spec.mutable_elastic()->set_min_nodes(1);
    spec.mutable_elastic()->set_max_nodes(2);
    spec.mutable_elastic()->add_node_counts(2);
    spec.mutable_elastic()->add_node_counts(1);
    return spec;
  }
  int nodes(const JobId& id) {
    std::set<std::string> names;
    const v1::Job all = job(id);
    for (const v1::RankStatus& rank : all.ranks()) names.insert(rank.node_name());
    return static_cast<int>(names.size());
  }
  bool asked_to_end(const NodeId& node) { return cluster_.node(node).processes[0].asked_to_stop; }
  void lose(const NodeId& node) {
    cluster_.disconnect(node);
    engine_->node_lost(node, "node is gone");
    engine_->settle();
    deliver();
  }
  // A job on node a alone, while b is away; then b is there.
  JobId start_small() {
    lose(b_);
    const JobId id = submit(elastic());
    deliver();
    EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
    EXPECT_EQ(nodes(id), 1);
    return id;
  }
  void node_b_returns() {
    cluster_.connect(b_);
    engine_->settle();
    deliver();
  }
  void end_as_asked() {
    cluster_.finish_all();
    deliver();
    deliver();  // the next attempt's ranks
  }
};

TEST_F(EngineElasticTest, TakesAllThatIsThere) {
  const JobId id = submit(elastic());
  deliver();
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(nodes(id), 2);
  EXPECT_THAT(job(id).ranks(), SizeIs(4));
}

TEST_F(EngineElasticTest, StartsOnFewerAndSaysSo) {
  lose(b_);
  const JobId id = submit(elastic());
  EXPECT_EQ(job(id).reason(), "placed on a (1 of 2 nodes)");
}

TEST_F(EngineElasticTest, LostNodeCostsNothingButItself) {
  const JobId id = submit(elastic());
  deliver();
  ASSERT_EQ(nodes(id), 2);
  cluster_.disconnect(b_);
  engine_->node_lost(b_, "node b has not answered for 10 s");
  engine_->settle();
  EXPECT_TRUE(asked_to_end(a_)) << "the rest of the gang";
  end_as_asked();
  EXPECT_EQ(job(id).attempt(), 2);
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(nodes(id), 1);
  EXPECT_EQ(job(id).restarts(), 0);
  EXPECT_THAT(job(id).ranks(), SizeIs(2));
}

TEST_F(EngineElasticTest, GrowsOnceACheckpointIsThere) {
  const JobId id = start_small();
  advance(seconds(61));
  node_b_returns();
  EXPECT_FALSE(asked_to_end(a_)) << "its next checkpoint is awaited";
  advance(seconds(5));
  const auto checkpoint = storage::upload(store(), {.attempt = {id, 1}, .step = 40});
  engine_->checkpoint_committed(id);
  engine_->settle();
  ASSERT_TRUE(asked_to_end(a_));
  EXPECT_EQ(cluster_.node(a_).processes[0].grace, Duration(seconds(300)));
  end_as_asked();
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(nodes(id), 2);
  EXPECT_EQ(job(id).restarts(), 0);
  const auto attempts = *store().jobs().attempts(id);
  EXPECT_EQ(attempts[0].reason(), "grows from 1 to 2 nodes");
  EXPECT_EQ(attempts[0].cause(), v1::END_CAUSE_PREEMPTED);
  EXPECT_EQ(attempts[1].resumed_from_checkpoint(), checkpoint->str());
}

TEST_F(EngineElasticTest, GrowsWithoutOneWhenNoneComes) {
  const JobId id = start_small();
  advance(seconds(61));
  node_b_returns();
  advance(seconds(29));
  EXPECT_FALSE(asked_to_end(a_));
  ASSERT_TRUE(engine_->next_deadline().has_value());
  advance(seconds(2));
  EXPECT_TRUE(asked_to_end(a_));
  end_as_asked();
  EXPECT_EQ(nodes(id), 2);
}

TEST_F(EngineElasticTest, EveryAttemptHasItsMinimumTime) {
  const JobId id = start_small();
  node_b_returns();
  advance(seconds(59));
  engine_->checkpoint_committed(id);
  engine_->settle();
  EXPECT_FALSE(asked_to_end(a_));
  advance(seconds(2));  // its minute is over
  EXPECT_FALSE(asked_to_end(a_));
  engine_->checkpoint_committed(id);
  engine_->settle();
  EXPECT_TRUE(asked_to_end(a_));
}

// A node that comes and goes every ten seconds for an hour.
TEST_F(EngineElasticTest, FlappingNodeCausesAtMostOneEndAMinute) {
  const JobId id = start_small();
  for (int i = 0; i < 360; ++i) {
    if (i % 2 == 0) {
      node_b_returns();
    } else {
      lose(b_);
    }
    advance(seconds(10));
    engine_->checkpoint_committed(id);
    engine_->settle();
    if (job(id).state() != v1::JOB_STATE_RUNNING || asked_to_end(a_)) end_as_asked();
  }
  const auto attempts = *store().jobs().attempts(id);
  EXPECT_GT(attempts.size(), 2u);
  const auto grown = std::count_if(attempts.begin(), attempts.end(), [](const v1::Attempt& each) {
    return each.reason().starts_with("grows");
  });
  EXPECT_LE(grown, 60);
  EXPECT_EQ(job(id).restarts(), 0);
}

TEST_F(EngineElasticTest, NodeThatGoesAwayAgainIsForgotten) {
  const JobId id = start_small();
  advance(seconds(61));
  node_b_returns();
  advance(seconds(10));
  lose(b_);
  advance(seconds(60));
  engine_->checkpoint_committed(id);
  engine_->settle();
  EXPECT_FALSE(asked_to_end(a_));
}

TEST_F(EngineElasticTest, JobsBehindDoNotTakeWhatItEndsFor) {
  const JobId id = start_small();
  advance(seconds(61));
  node_b_returns();
  engine_->checkpoint_committed(id);
  engine_->settle();
  ASSERT_TRUE(asked_to_end(a_));
  const JobId behind = submit(1, 1);
  EXPECT_EQ(state(behind), v1::JOB_STATE_QUEUED);
  end_as_asked();
  EXPECT_EQ(nodes(id), 2);
  EXPECT_EQ(state(behind), v1::JOB_STATE_QUEUED);
}

TEST_F(EngineElasticTest, JobOfHigherPriorityThatWaitsHoldsItBack) {
  const JobId id = start_small();
  v1::JobSpec wide = EngineTest::spec(2, 2);
  wide.set_priority(90);
  const JobId waits = submit(wide);
  advance(seconds(61));
  node_b_returns();
  engine_->checkpoint_committed(id);
  engine_->settle();
  advance(seconds(60));
  EXPECT_FALSE(asked_to_end(a_));
  EXPECT_EQ(state(waits), v1::JOB_STATE_QUEUED);
}

TEST_F(EngineElasticTest, JobThatBeginsAnewEachTimeHasNothingToGain) {
  lose(b_);
  v1::JobSpec spec = elastic();
  spec.set_restart_from(v1::RESTART_FROM_NONE);
  const JobId id = submit(spec);
  deliver();
  advance(seconds(61));
  node_b_returns();
  advance(seconds(60));
  EXPECT_FALSE(asked_to_end(a_));
  EXPECT_EQ(nodes(id), 1);
}

}  // namespace
}  // namespace lctl::jobs
