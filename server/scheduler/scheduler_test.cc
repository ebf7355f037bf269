#include "server/scheduler/scheduler.h"

#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A node with `total` devices, of which the last `free` are free.
DevicesView devices(int total, int free) {
  DevicesView view{.total = total, .free = std::vector<int>(static_cast<std::size_t>(free))};
  std::iota(view.free.begin(), view.free.end(), total - free);
  return view;
}
NodeView cpu_node(const char* id, int total, int free) {
  return {.id = NodeId{id}, .cpu = devices(total, free)};
}
NodeView gpu_node(const char* id, int total, int free) {
  return {.id = NodeId{id}, .cuda = devices(total, free)};
}
QueuedJob job(const char* id, int nodes, int devices_per_node, std::int64_t submitted = 0) {
  return {.id = JobId{id},
          .submitted = submitted,
          .nodes = nodes,
          .devices_per_node = devices_per_node};
}

std::vector<std::string> started(const Decision& decision) {
  std::vector<std::string> ids;
  for (const Placement& placement : decision.start) ids.push_back(placement.job.str());
  return ids;
}
std::string reason_of(const Decision& decision, const char* id) {
  for (const Waiting& waiting : decision.wait) {
    if (waiting.job == JobId{id}) return waiting.reason;
  }
  return "is not waiting";
}

//   node  free of    job    wants
//   n1    2 of 4     wide   2 nodes x 2 devices
//   n2    4 of 4
TEST(ScheduleTest, GangIsPlacedWithTheDevicesOfEachNode) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 4, 2), cpu_node("n2", 4, 4)};

  const Decision decision = schedule(nodes, std::vector{job("wide", 2, 2)});

  ASSERT_THAT(started(decision), ElementsAre("wide"));
  const Placement& placement = decision.start[0];
  EXPECT_EQ(placement.kind, DeviceKind::kCpu);
  ASSERT_EQ(placement.nodes.size(), 2u);
  EXPECT_EQ(placement.nodes[0].node, NodeId{"n1"});
  EXPECT_THAT(placement.nodes[0].devices, ElementsAre(2, 3));
  EXPECT_EQ(placement.nodes[1].node, NodeId{"n2"});
  EXPECT_THAT(placement.nodes[1].devices, ElementsAre(0, 1));
}

TEST(ScheduleTest, PriorityThenSubmissionThenIdDecidesWhoGoesFirst) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 3, 3)};
  std::vector<QueuedJob> queue = {job("late", 1, 1, 9), job("b", 1, 1, 5), job("a", 1, 1, 5),
                                  job("urgent", 1, 1, 20)};
  queue[3].priority = 51;

  const Decision decision = schedule(nodes, queue);

  EXPECT_THAT(started(decision), ElementsAre("urgent", "a", "b"));
  EXPECT_EQ(
      reason_of(decision, "late"),
      "waiting: needs 1 cpu slot on one node, the largest free is 0; it starts when others end");
}

TEST(ScheduleTest, SmallJobsFillTheFullestNodeThatSuffices) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 8, 8), cpu_node("n2", 8, 1),
                                       cpu_node("n3", 8, 2)};

  const Decision decision = schedule(nodes, std::vector{job("small", 1, 2)});

  ASSERT_EQ(decision.start.size(), 1u);
  EXPECT_EQ(decision.start[0].nodes[0].node, NodeId{"n3"});
}

TEST(ScheduleTest, WaitingGangOnOneNodeSaysTheLargestFree) {
  const std::vector<NodeView> nodes = {gpu_node("n1", 8, 4), gpu_node("n2", 8, 3)};

  const Decision decision = schedule(nodes, std::vector{job("big", 1, 8)});

  ASSERT_EQ(decision.wait.size(), 1u);
  EXPECT_EQ(decision.wait[0].cause, WaitCause::kBusy);
  EXPECT_EQ(decision.wait[0].reason,
            "waiting: needs 8 GPUs on one node, the largest free is 4; it starts when others end");
}

TEST(ScheduleTest, WaitingGangOnManyNodesSaysHowManyAreFree) {
  const std::vector<NodeView> nodes = {gpu_node("n1", 4, 4), gpu_node("n2", 4, 3),
                                       gpu_node("n3", 4, 0)};

  const Decision decision = schedule(nodes, std::vector{job("wide", 3, 4)});

  EXPECT_THAT(decision.start, IsEmpty());
  EXPECT_EQ(reason_of(decision, "wide"),
            "waiting: needs 3 nodes with 4 GPUs each, 1 has them free; it starts when others end");
}

TEST(ScheduleTest, WhatCanNeverFitSaysSoAndHoldsNobodyUp) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 4, 4), cpu_node("n2", 2, 2)};

  const Decision decision =
      schedule(nodes, std::vector{job("big", 1, 8, 1), job("wide", 2, 4, 2), job("ok", 2, 2, 3)});

  EXPECT_THAT(started(decision), ElementsAre("ok"));
  EXPECT_EQ(decision.wait[0].cause, WaitCause::kImpossible);
  EXPECT_EQ(
      reason_of(decision, "big"),
      "waiting: needs 8 cpu slots on one node, but the largest node has 4; it starts when such "
      "nodes join");
  EXPECT_EQ(reason_of(decision, "wide"),
            "waiting: needs 2 nodes with 4 cpu slots each, but only 1 of 2 nodes has that many; it "
            "starts when such nodes join");
}

TEST(ScheduleTest, NoNodesAndWrongKindAreNamed) {
  EXPECT_EQ(reason_of(schedule({}, std::vector{job("j", 1, 2)}), "j"),
            "waiting: needs 2 cpu slots on one node, but no node is connected; it starts when such "
            "nodes join");

  std::vector<QueuedJob> queue = {job("gpu", 1, 1)};
  queue[0].accelerator = Accelerator::kCuda;
  EXPECT_EQ(
      reason_of(schedule(std::vector{cpu_node("n1", 4, 4)}, queue), "gpu"),
      "waiting: needs 1 GPU on one node, but no node has GPUs; it starts when such nodes join");
}

//   node  free of    job    wants            order
//   n1    2 of 4     wide   1 node x 4       first, must wait for n1
//   n2    1 of 4     s1     1 node x 1       may use n2 only
//                    s2     1 node x 1       nothing left that wide cannot use
TEST(ScheduleTest, FirstWaitingJobKeepsTheNodeNearestToFree) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 4, 2), cpu_node("n2", 4, 1)};

  const Decision decision =
      schedule(nodes, std::vector{job("wide", 1, 4, 1), job("s1", 1, 1, 2), job("s2", 1, 1, 3)});

  ASSERT_THAT(started(decision), ElementsAre("s1"));
  EXPECT_EQ(decision.start[0].nodes[0].node, NodeId{"n2"});
  EXPECT_EQ(decision.wait[1].cause, WaitCause::kReserved);
  EXPECT_EQ(
      reason_of(decision, "s2"),
      "waiting: needs 1 cpu slot on one node; they are kept for job wide, which is before it in "
      "the queue");
}

TEST(ScheduleTest, DevicesThatTheReservedGangCannotUseStayOpenToOthers) {
  // wide wants 2 x 4: n1 has 6 free (2 to spare), n2 is busy.
  const std::vector<NodeView> nodes = {cpu_node("n1", 8, 6), cpu_node("n2", 4, 0)};

  const Decision decision =
      schedule(nodes, std::vector{job("wide", 2, 4, 1), job("s1", 1, 2, 2), job("s2", 1, 1, 3)});

  EXPECT_THAT(started(decision), ElementsAre("s1"));
  EXPECT_EQ(decision.wait[1].cause, WaitCause::kReserved);
}

TEST(ScheduleTest, ReservationOfOneKindLeavesTheOtherAlone) {
  const std::vector<NodeView> nodes = {
      {.id = NodeId{"n1"}, .cpu = devices(4, 4), .cuda = devices(2, 1)}};
  std::vector<QueuedJob> queue = {job("gpu", 1, 2, 1), job("cpu", 1, 4, 2)};
  queue[1].accelerator = Accelerator::kCpu;

  EXPECT_THAT(started(schedule(nodes, queue)), ElementsAre("cpu"));
}

TEST(ScheduleTest, AutoMeansGpusWhereTheyCouldHoldTheGangElseCpuSlots) {
  const std::vector<NodeView> busy_gpu = {cpu_node("n1", 4, 4), gpu_node("n2", 2, 0)};
  const Decision waits = schedule(busy_gpu, std::vector{job("j", 1, 2)});
  EXPECT_EQ(reason_of(waits, "j"),
            "waiting: needs 2 GPUs on one node, the largest free is 0; it starts when others end");

  const Decision starts = schedule(busy_gpu, std::vector{job("j", 1, 3)});
  ASSERT_EQ(starts.start.size(), 1u);
  EXPECT_EQ(starts.start[0].kind, DeviceKind::kCpu);
}

TEST(ScheduleTest, SilentNodesCountAsThereButGetNothing) {
  std::vector<NodeView> nodes = {cpu_node("n1", 2, 2)};
  nodes[0].accepting = false;

  const Decision decision = schedule(nodes, std::vector{job("j", 1, 2)});

  EXPECT_EQ(decision.wait.at(0).cause, WaitCause::kBusy);
  EXPECT_EQ(
      decision.wait[0].reason,
      "waiting: needs 2 cpu slots on one node, the largest free is 0, 1 node takes no new ranks "
      "just now; it starts when others end");
}

TEST(ScheduleTest, ExcludedNodesAreNotUsedAndTheReasonCountsThem) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 2, 2), cpu_node("n2", 2, 2)};
  std::vector<QueuedJob> queue = {job("j", 1, 2)};
  queue[0].excluded = {NodeId{"n1"}};
  EXPECT_EQ(schedule(nodes, queue).start.at(0).nodes[0].node, NodeId{"n2"});

  queue[0].excluded = {NodeId{"n1"}, NodeId{"n2"}};
  EXPECT_EQ(
      reason_of(schedule(nodes, queue), "j"),
      "waiting: needs 2 cpu slots on one node, but no node that it may use has cpu slots (2 nodes "
      "left out: excluded for this job); it starts when such nodes join");
}

TEST(ScheduleTest, AvoidedNodesAreUsedOnlyWhenItFitsNowhereElse) {
  std::vector<NodeView> nodes = {cpu_node("n1", 2, 2), cpu_node("n2", 4, 4)};
  std::vector<QueuedJob> queue = {job("j", 1, 2)};
  EXPECT_EQ(schedule(nodes, queue).start.at(0).nodes[0].node, NodeId{"n1"}) << "the best fit";
  queue[0].avoided = {NodeId{"n1"}};
  EXPECT_EQ(schedule(nodes, queue).start.at(0).nodes[0].node, NodeId{"n2"});
  nodes[1] = cpu_node("n2", 4, 1);
  EXPECT_EQ(schedule(nodes, queue).start.at(0).nodes[0].node, NodeId{"n1"});
}

RunningGang gang(const char* id, int priority, std::map<NodeId, int> devices,
                 std::int64_t started = 0) {
  return {.id = JobId{id},
          .priority = priority,
          .started = started,
          .preemptible = true,
          .devices = std::move(devices)};
}
std::vector<std::string> victims(const Decision& decision) {
  std::vector<std::string> ids;
  for (const Preemption& each : decision.preempt) ids.push_back(each.victim.str());
  return ids;
}

//   node  of 4 held by          job    wants       priority
//   n1    old 2, young 2        big    1 x 2       50
TEST(SchedulePreemptionTest, LowestPriorityThenTheYoungestMakesRoom) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 4, 0)};
  const std::vector<QueuedJob> queue = {job("big", 1, 2)};
  const NodeId n1{"n1"};

  Decision decision = schedule(
      nodes, queue, std::vector{gang("old", 10, {{n1, 2}}, 1), gang("young", 10, {{n1, 2}}, 2)});
  EXPECT_THAT(victims(decision), ElementsAre("young"));
  EXPECT_EQ(decision.preempt[0].beneficiary, JobId{"big"});
  EXPECT_EQ(reason_of(decision, "big"),
            "waiting: needs 2 cpu slots on one node; 1 job of lower priority writes a checkpoint "
            "and makes room");

  decision = schedule(nodes, queue,
                      std::vector{gang("old", 9, {{n1, 2}}, 1), gang("young", 10, {{n1, 2}}, 2)});
  EXPECT_THAT(victims(decision), ElementsAre("old"));
  decision =
      schedule(nodes, queue, std::vector{gang("a", 50, {{n1, 2}}), gang("b", 60, {{n1, 2}})});
  EXPECT_THAT(victims(decision), IsEmpty()) << "nobody has a lower priority";
}

//   node  of 4 held by          job    wants       priority
//   n1    a 1, b 1, c 2         big    1 x 4       50
//   n2    d 4 (priority 20)
TEST(SchedulePreemptionTest, NodeWithTheLowestVictimsIsCleared) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 4, 0), cpu_node("n2", 4, 0)};
  std::vector<RunningGang> running = {
      gang("a", 10, {{NodeId{"n1"}, 1}}), gang("b", 10, {{NodeId{"n1"}, 1}}),
      gang("c", 10, {{NodeId{"n1"}, 2}}), gang("d", 20, {{NodeId{"n2"}, 4}})};
  EXPECT_THAT(victims(schedule(nodes, std::vector{job("big", 1, 4)}, running)),
              ElementsAre("a", "b", "c"));
  running[3].priority = 10;
  EXPECT_THAT(victims(schedule(nodes, std::vector{job("big", 1, 4)}, running)), ElementsAre("d"))
      << "one is fewer than three";
}

TEST(SchedulePreemptionTest, NobodyEndsInVain) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 4, 0), cpu_node("n2", 4, 0)};
  const std::vector<RunningGang> running = {gang("low", 10, {{NodeId{"n1"}, 4}}),
                                            gang("high", 90, {{NodeId{"n2"}, 4}})};
  EXPECT_THAT(victims(schedule(nodes, std::vector{job("wide", 2, 4)}, running)), IsEmpty());
}

//   n1 has 3 of 4 free (held by one that may not be asked), n2 none (held by a victim): the job's
//   reservation is where it will fit, so the freed devices are nobody else's.
TEST(SchedulePreemptionTest, DevicesThatAreFreedAreKeptForTheJobTheyAreFreedFor) {
  std::vector<NodeView> nodes = {cpu_node("n1", 4, 3), cpu_node("n2", 4, 0)};
  std::vector<RunningGang> running = {gang("victim", 10, {{NodeId{"n2"}, 4}})};
  std::vector<QueuedJob> queue = {job("big", 1, 4), job("small", 1, 1, 1)};
  queue[1].priority = 1;
  const Decision first = schedule(nodes, queue, running);
  EXPECT_THAT(victims(first), ElementsAre("victim"));
  EXPECT_THAT(started(first), ElementsAre("small")) << "on n1, which big does not wait for";

  running[0].ending = true;
  nodes = {cpu_node("n1", 4, 0), cpu_node("n2", 4, 2)};  // two of the victim's ranks have ended
  running[0].devices = {{NodeId{"n2"}, 2}};
  const Decision second = schedule(nodes, queue, running);
  EXPECT_THAT(victims(second), IsEmpty()) << "it is asked once";
  EXPECT_THAT(started(second), IsEmpty());
  EXPECT_EQ(reason_of(second, "big"),
            "waiting: needs 4 cpu slots on one node; jobs that are ending make room");
}

TEST(SchedulePreemptionTest, WideGangThatClearsSeveralNodesSparesTheOthers) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 2, 0), cpu_node("n2", 2, 0),
                                       cpu_node("n3", 2, 0)};
  const std::vector<RunningGang> running = {
      gang("wide", 10, {{NodeId{"n2"}, 2}, {NodeId{"n3"}, 2}}),
      gang("one", 5, {{NodeId{"n1"}, 2}})};
  EXPECT_THAT(victims(schedule(nodes, std::vector{job("j", 2, 2)}, running)), ElementsAre("wide"))
      << "with it the other is not needed";
}

// A stream of small jobs, each running for ever so short, against one wide gang: whenever a device
// of the reserved node gets free it stays free, so the gang starts once the old jobs have ended.
TEST(ScheduleTest, WideGangStartsWhenTheJobsOnItsNodesHaveEnded) {
  std::vector<NodeView> nodes = {cpu_node("n1", 4, 0), cpu_node("n2", 4, 0)};
  std::int64_t next = 2;
  for (int round = 0; round < 8; ++round) {
    // One old rank ends on each node, and two new small jobs are waiting.
    for (NodeView& node : nodes) {
      if (node.cpu.free.size() < 4) {
        node.cpu.free.insert(node.cpu.free.begin(), 3 - static_cast<int>(node.cpu.free.size()));
      }
    }
    const std::vector queue = {job("wide", 1, 4, 1), job("x", 1, 1, next),
                               job("y", 1, 1, next + 1)};
    next += 2;
    const Decision decision = schedule(nodes, queue);
    for (const Placement& placement : decision.start) {
      if (placement.job == JobId{"wide"}) {
        EXPECT_EQ(round, 3) << "4 devices of the reserved node end one a round";
        return;
      }
      for (NodeView& node : nodes) {
        if (node.id == placement.nodes[0].node) {
          node.cpu.free.erase(node.cpu.free.begin());
        }
      }
    }
  }
  FAIL() << "the wide gang starved";
}

// ---- elastic jobs

QueuedJob elastic(const char* id, int most, std::vector<int> fewer, std::int64_t submitted = 0) {
  QueuedJob each = job(id, most, 2, submitted);
  each.fewer = std::move(fewer);
  return each;
}
// A gang of 2 devices on each of `nodes`, of a job submitted then, that may grow to `larger`.
RunningGang growable(const char* id, std::vector<const char*> nodes, std::vector<int> larger,
                     std::int64_t submitted = 0) {
  RunningGang gang{.id = JobId{id}};
  for (const char* node : nodes) gang.devices[NodeId{node}] = 2;
  gang.larger = std::move(larger);
  gang.devices_per_node = 2;
  gang.submitted = submitted;
  return gang;
}
std::vector<std::string> grown(const Decision& decision) {
  std::vector<std::string> texts;
  for (const Growth& each : decision.grow)
    texts.push_back(each.job.str() + " to " + std::to_string(each.nodes));
  return texts;
}

TEST(ScheduleElasticTest, LargestNumberOfNodesThatFitsNowIsTaken) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 2, 2), cpu_node("n2", 2, 2),
                                       cpu_node("n3", 2, 2), cpu_node("n4", 2, 0)};
  const Decision decision = schedule(nodes, std::vector{elastic("e", 4, {3, 1})});
  ASSERT_THAT(started(decision), ElementsAre("e"));
  EXPECT_EQ(decision.start[0].nodes.size(), 3u);
  const Decision skipped = schedule(nodes, std::vector{elastic("e", 4, {2, 1})});
  EXPECT_EQ(skipped.start[0].nodes.size(), 2u) << "3 nodes do not share its batches";
}

TEST(ScheduleElasticTest, WaitsForItsSmallestNumberOnly) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 2, 2), cpu_node("n2", 2, 0),
                                       cpu_node("n3", 1, 1)};
  const Decision decision = schedule(nodes, std::vector{elastic("e", 4, {2})});
  EXPECT_EQ(reason_of(decision, "e"),
            "waiting: needs at least 2 nodes with 2 cpu slots each, 1 has them free; it starts "
            "when others end");
  const Decision impossible = schedule(nodes, std::vector{elastic("e", 4, {3})});
  EXPECT_EQ(impossible.wait[0].cause, WaitCause::kImpossible);
}

TEST(ScheduleElasticTest, ReservationIsForTheSmallestNumber) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 2, 2), cpu_node("n2", 2, 0),
                                       cpu_node("n3", 2, 2)};
  std::vector<QueuedJob> queue = {elastic("e", 4, {3}, 0), job("small", 1, 2, 1)};
  EXPECT_THAT(started(schedule(nodes, queue)), IsEmpty()) << "all three are kept";
  queue[0] = elastic("e", 4, {2}, 0);
  const Decision decision = schedule(nodes, queue);
  EXPECT_THAT(started(decision), ElementsAre("e"));
}

TEST(ScheduleElasticTest, GoesRoundAvoidedNodesOnFewer) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 2, 2), cpu_node("n2", 2, 2)};
  std::vector<QueuedJob> queue = {elastic("e", 2, {1})};
  queue[0].avoided = {NodeId{"n1"}};
  const Decision decision = schedule(nodes, queue);
  ASSERT_EQ(decision.start[0].nodes.size(), 1u);
  EXPECT_EQ(decision.start[0].nodes[0].node, NodeId{"n2"});
}

TEST(ScheduleElasticTest, RunningGangMayGrowIntoWhatIsFreeBesideItsOwn) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 2, 0), cpu_node("n2", 2, 2),
                                       cpu_node("n3", 2, 2)};
  EXPECT_THAT(grown(schedule(nodes, {}, std::vector{growable("e", {"n1"}, {4, 3, 2})})),
              ElementsAre("e to 3"));
  EXPECT_THAT(grown(schedule(nodes, {}, std::vector{growable("e", {"n1"}, {4})})), IsEmpty());
  RunningGang choosy = growable("e", {"n1"}, {3, 2});
  choosy.excluded = {NodeId{"n2"}};
  EXPECT_THAT(grown(schedule(nodes, {}, std::vector{choosy})), ElementsAre("e to 2"));
}

TEST(ScheduleElasticTest, NobodyGrowsPastAJobThatWaitsBeforeIt) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 2, 0), cpu_node("n2", 2, 2)};
  const std::vector<RunningGang> running = {growable("e", {"n1"}, {2}, 5)};
  EXPECT_THAT(grown(schedule(nodes, std::vector{job("before", 2, 2, 1)}, running)), IsEmpty());
  EXPECT_THAT(grown(schedule(nodes, std::vector{job("behind", 2, 2, 9)}, running)),
              ElementsAre("e to 2"));
  EXPECT_THAT(grown(schedule(nodes, std::vector{job("starts", 1, 2, 1)}, running)), IsEmpty())
      << "the free node is gone";
  QueuedJob elsewhere = job("elsewhere", 2, 2, 1);
  elsewhere.accelerator = Accelerator::kCuda;
  EXPECT_THAT(grown(schedule(nodes, std::vector{elsewhere}, running)), ElementsAre("e to 2"));
}

TEST(ScheduleElasticTest, WhatAGangEndsForIsKeptForIt) {
  const std::vector<NodeView> nodes = {cpu_node("n1", 2, 0), cpu_node("n2", 2, 2)};
  std::vector<RunningGang> running = {growable("e", {"n1"}, {2}, 0)};
  const std::vector<QueuedJob> queue = {job("behind", 1, 2, 9)};
  EXPECT_THAT(started(schedule(nodes, queue, running)), ElementsAre("behind"));
  running[0].claims = true;
  const Decision asked = schedule(nodes, queue, running);
  EXPECT_THAT(started(asked), IsEmpty());
  EXPECT_THAT(grown(asked), ElementsAre("e to 2"));
  EXPECT_EQ(asked.wait[0].cause, WaitCause::kReserved);
  running[0].ending = true;
  const Decision ending = schedule(nodes, queue, running);
  EXPECT_THAT(started(ending), IsEmpty()) << "it is on its way";
  EXPECT_THAT(grown(ending), IsEmpty()) << "and asked once";
}

}  // namespace
}  // namespace lctl::scheduler
