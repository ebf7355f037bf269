// What must hold for every cluster and every queue.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "server/scheduler/scheduler.h"

namespace lctl::scheduler {
namespace {

struct Case {
  std::vector<NodeView> nodes;
  std::vector<QueuedJob> queue;
};

void showValue(const Case& c, std::ostream& out) {
  for (const NodeView& node : c.nodes) {
    out << node.id << (node.accepting ? "" : " (silent)") << " cpu " << node.cpu.free.size() << "/"
        << node.cpu.total << " cuda " << node.cuda.free.size() << "/" << node.cuda.total << "\n";
  }
  for (const QueuedJob& job : c.queue) {
    out << job.id << " p" << job.priority << " t" << job.submitted << " " << job.nodes << "x"
        << job.devices_per_node << " kind " << static_cast<int>(job.accelerator) << " excludes "
        << job.excluded.size() << "\n";
  }
}

rc::Gen<DevicesView> any_devices() {
  return rc::gen::exec([] {
    DevicesView view;
    view.total = *rc::gen::inRange(0, 6);
    for (int i = 0; i < view.total; ++i) {
      if (*rc::gen::arbitrary<bool>()) view.free.push_back(i);
    }
    return view;
  });
}

// Of full size from the first case on: small clusters and queues are drawn often enough.
rc::Gen<Case> any_case() {
  return rc::gen::resize(
      100, rc::gen::exec([] {
        Case c;
        const int nodes = *rc::gen::inRange(0, 7);
        for (int i = 0; i < nodes; ++i) {
          c.nodes.push_back({.id = NodeId{"n" + std::to_string(i)},
                             .accepting = *rc::gen::weightedElement<bool>({{5, true}, {1, false}}),
                             .cpu = *any_devices(),
                             .cuda = *any_devices()});
        }
        const int jobs = *rc::gen::inRange(0, 12);
        for (int i = 0; i < jobs; ++i) {
          QueuedJob job{.id = JobId{"j" + std::to_string(i)},
                        .priority = *rc::gen::inRange(0, 3),
                        .submitted = *rc::gen::inRange(0, 4),
                        .nodes = *rc::gen::inRange(1, 4),
                        .devices_per_node = *rc::gen::inRange(1, 5),
                        .accelerator = *rc::gen::element(Accelerator::kAuto, Accelerator::kCpu,
                                                         Accelerator::kCuda)};
          for (int fewer = job.nodes - 1; fewer > 0; --fewer) {
            if (*rc::gen::inRange(0, 4) == 0) job.fewer.push_back(fewer);
          }
          if (nodes > 0 && *rc::gen::inRange(0, 5) == 0) {
            job.excluded = {NodeId{"n" + std::to_string(*rc::gen::inRange(0, nodes))}};
          }
          c.queue.push_back(std::move(job));
        }
        return c;
      }));
}

const NodeView& node_of(const Case& c, const NodeId& id) {
  return *std::find_if(c.nodes.begin(), c.nodes.end(), [&](const auto& n) { return n.id == id; });
}
const QueuedJob& job_of(const Case& c, const JobId& id) {
  return *std::find_if(c.queue.begin(), c.queue.end(), [&](const auto& j) { return j.id == id; });
}

int fewest(const QueuedJob& job) { return job.fewer.empty() ? job.nodes : job.fewer.back(); }

bool before(const QueuedJob& a, const QueuedJob& b) {
  return std::tuple(-a.priority, a.submitted, a.id) < std::tuple(-b.priority, b.submitted, b.id);
}

RC_GTEST_PROP(SchedulePropertyTest, EveryJobIsInExactlyOneListAndWaitersHaveReasons, ()) {
  const Case c = *any_case();
  const Decision decision = schedule(c.nodes, c.queue);
  std::multiset<std::string> seen;
  for (const Placement& placement : decision.start) seen.insert(placement.job.str());
  for (const Waiting& waiting : decision.wait) {
    seen.insert(waiting.job.str());
    RC_ASSERT(waiting.reason.starts_with("waiting: "));
  }
  RC_ASSERT(seen.size() == c.queue.size());
  for (const QueuedJob& job : c.queue) RC_ASSERT(seen.count(job.id.str()) == 1u);
}

RC_GTEST_PROP(SchedulePropertyTest, GangsAreWholeOnFreeDevicesOfOneKindAndNoDeviceIsGivenTwice,
              ()) {
  const Case c = *any_case();
  std::set<std::tuple<NodeId, DeviceKind, int>> given;
  for (const Placement& placement : schedule(c.nodes, c.queue).start) {
    const QueuedJob& job = job_of(c, placement.job);
    const auto count = static_cast<int>(placement.nodes.size());
    RC_ASSERT(count == job.nodes ||
              std::find(job.fewer.begin(), job.fewer.end(), count) != job.fewer.end());
    if (job.accelerator == Accelerator::kCpu) RC_ASSERT(placement.kind == DeviceKind::kCpu);
    if (job.accelerator == Accelerator::kCuda) RC_ASSERT(placement.kind == DeviceKind::kCuda);
    std::set<NodeId> distinct;
    for (const NodePlacement& part : placement.nodes) {
      RC_ASSERT(distinct.insert(part.node).second);
      const NodeView& node = node_of(c, part.node);
      RC_ASSERT(node.accepting);
      RC_ASSERT(std::count(job.excluded.begin(), job.excluded.end(), part.node) == 0);
      RC_ASSERT(static_cast<int>(part.devices.size()) == job.devices_per_node);
      const auto& free = placement.kind == DeviceKind::kCuda ? node.cuda.free : node.cpu.free;
      for (const int device : part.devices) {
        RC_ASSERT(std::count(free.begin(), free.end(), device) == 1);
        RC_ASSERT(given.insert({part.node, placement.kind, device}).second);
      }
    }
  }
}

RC_GTEST_PROP(SchedulePropertyTest, OrderOfTheArgumentsDoesNotMatter, ()) {
  Case c = *any_case();
  const Decision first = schedule(c.nodes, c.queue);
  std::reverse(c.nodes.begin(), c.nodes.end());
  std::reverse(c.queue.begin(), c.queue.end());
  const Decision second = schedule(c.nodes, c.queue);
  RC_ASSERT(first.start.size() == second.start.size());
  for (std::size_t i = 0; i < first.start.size(); ++i) {
    RC_ASSERT(first.start[i].job == second.start[i].job);
    for (std::size_t n = 0; n < first.start[i].nodes.size(); ++n) {
      RC_ASSERT(first.start[i].nodes[n].node == second.start[i].nodes[n].node);
      RC_ASSERT(first.start[i].nodes[n].devices == second.start[i].nodes[n].devices);
    }
  }
  for (std::size_t i = 0; i < first.wait.size(); ++i) {
    RC_ASSERT(first.wait[i].reason == second.wait[i].reason);
  }
}

// Whether a job starts depends on nothing behind it in the order.
RC_GTEST_PROP(SchedulePropertyTest, JobsBehindDoNotChangeWhatHappensToThoseBefore, ()) {
  Case c = *any_case();
  std::sort(c.queue.begin(), c.queue.end(), before);
  const Decision all = schedule(c.nodes, c.queue);
  const std::size_t kept = c.queue.size() / 2;
  const Decision some = schedule(c.nodes, std::span(c.queue).first(kept));
  for (std::size_t i = 0; i < some.start.size(); ++i) {
    RC_ASSERT(some.start[i].job == all.start[i].job);
    RC_ASSERT(some.start[i].nodes[0].devices == all.start[i].nodes[0].devices);
  }
  for (std::size_t i = 0; i < some.wait.size(); ++i) {
    RC_ASSERT(some.wait[i].job == all.wait[i].job);
    RC_ASSERT(some.wait[i].reason == all.wait[i].reason);
  }
}

// The promise against starving, as an invariant between two decisions: jobs started behind the
// first waiting one do not lower what its best nodes have free for it.
RC_GTEST_PROP(SchedulePropertyTest, StartedJobsTakeNothingThatTheFirstWaitingJobCouldUse, ()) {
  Case c = *any_case();
  for (QueuedJob& job : c.queue) job.accelerator = Accelerator::kCpu;
  const auto free_for = [&](const QueuedJob& job, const std::map<NodeId, int>& taken) {
    std::vector<int> each;
    for (const NodeView& node : c.nodes) {
      if (std::count(job.excluded.begin(), job.excluded.end(), node.id) != 0) continue;
      if (!node.accepting || node.cpu.total < job.devices_per_node) continue;
      const auto found = taken.find(node.id);
      const int free =
          static_cast<int>(node.cpu.free.size()) - (found == taken.end() ? 0 : found->second);
      each.push_back(std::min(free, job.devices_per_node));
    }
    std::sort(each.rbegin(), each.rend());
    if (each.size() > static_cast<std::size_t>(fewest(job)))
      each.resize(static_cast<std::size_t>(fewest(job)));
    return each;
  };
  const Decision decision = schedule(c.nodes, c.queue);
  const auto first = std::find_if(decision.wait.begin(), decision.wait.end(),
                                  [](const Waiting& w) { return w.cause == WaitCause::kBusy; });
  RC_CLASSIFY(first != decision.wait.end(), "somebody waits");
  if (first == decision.wait.end()) return;
  const QueuedJob& head = job_of(c, first->job);
  std::map<NodeId, int> taken_before;
  std::map<NodeId, int> taken_in_all;
  for (const Placement& placement : decision.start) {
    for (const NodePlacement& part : placement.nodes) {
      const int count = static_cast<int>(part.devices.size());
      taken_in_all[part.node] += count;
      if (before(job_of(c, placement.job), head)) taken_before[part.node] += count;
    }
  }
  RC_ASSERT(free_for(head, taken_in_all) == free_for(head, taken_before));
}

// Running gangs on the devices that are not free.
rc::Gen<std::vector<RunningGang>> any_running(const Case& c) {
  return rc::gen::resize(
      100, rc::gen::exec([&c] {
        std::vector<RunningGang> running(static_cast<std::size_t>(*rc::gen::inRange(1, 6)));
        for (std::size_t i = 0; i < running.size(); ++i) {
          running[i].id = JobId{"r" + std::to_string(i)};
          running[i].priority = *rc::gen::inRange(0, 3);
          running[i].started = *rc::gen::inRange(0, 3);
          running[i].preemptible = *rc::gen::inRange(0, 4) > 0;
          running[i].ending = *rc::gen::inRange(0, 6) == 0;
          running[i].kind = *rc::gen::element(DeviceKind::kCpu, DeviceKind::kCuda);
        }
        for (const NodeView& node : c.nodes) {
          for (const DeviceKind kind : {DeviceKind::kCpu, DeviceKind::kCuda}) {
            const DevicesView& devices = kind == DeviceKind::kCuda ? node.cuda : node.cpu;
            const int busy = devices.total - static_cast<int>(devices.free.size());
            for (int i = 0; i < busy; ++i) {
              RunningGang& gang = running[*rc::gen::inRange<std::size_t>(0, running.size())];
              if (gang.kind == kind) ++gang.devices[node.id];
            }
          }
        }
        return running;
      }));
}

// Whether the gang fits into what is free, and what `extra` adds to it.
bool fits(const Case& c, const QueuedJob& job, DeviceKind kind,
          const std::map<NodeId, int>& extra) {
  int nodes = 0;
  for (const NodeView& node : c.nodes) {
    if (!node.accepting) continue;
    if (std::find(job.excluded.begin(), job.excluded.end(), node.id) != job.excluded.end())
      continue;
    const DevicesView& devices = kind == DeviceKind::kCuda ? node.cuda : node.cpu;
    const auto more = extra.find(node.id);
    const int free =
        static_cast<int>(devices.free.size()) + (more == extra.end() ? 0 : more->second);
    nodes += free >= job.devices_per_node;
  }
  return nodes >= fewest(job);
}

RC_GTEST_PROP(SchedulePropertyTest, PreemptionIsOfLowerPriorityNeededAndOfUse, ()) {
  const Case c = *any_case();
  const std::vector<RunningGang> running = *any_running(c);
  const Decision decision = schedule(c.nodes, c.queue, running);
  std::set<JobId> named;
  std::map<JobId, std::vector<const RunningGang*>> by_beneficiary;
  for (const Preemption& each : decision.preempt) {
    const auto victim = std::find_if(running.begin(), running.end(),
                                     [&](const auto& gang) { return gang.id == each.victim; });
    RC_ASSERT(victim != running.end());
    RC_ASSERT(named.insert(each.victim).second);
    RC_ASSERT(victim->preemptible);
    RC_ASSERT(!victim->ending);
    RC_ASSERT(victim->priority < job_of(c, each.beneficiary).priority);
    by_beneficiary[each.beneficiary].push_back(&*victim);
  }
  RC_CLASSIFY(!named.empty(), "somebody makes room");
  RC_ASSERT(by_beneficiary.size() <= 2u);
  for (const auto& [id, victims] : by_beneficiary) {
    const QueuedJob& job = job_of(c, id);
    RC_ASSERT(std::any_of(decision.wait.begin(), decision.wait.end(),
                          [&](const auto& waiting) { return waiting.job == id; }));
    // What jobs before it have taken in this decision is not there for it.
    const DeviceKind kind = victims[0]->kind;
    std::map<NodeId, int> extra;
    for (const Placement& placement : decision.start) {
      if (placement.kind != kind || !before(job_of(c, placement.job), job)) continue;
      for (const NodePlacement& part : placement.nodes)
        extra[part.node] -= static_cast<int>(part.devices.size());
    }
    for (const RunningGang& gang : running) {
      if (!gang.ending || gang.kind != kind) continue;
      for (const auto& [node, count] : gang.devices) extra[node] += count;
    }
    RC_ASSERT(!fits(c, job, kind, extra));
    for (const RunningGang* victim : victims) {
      RC_ASSERT(victim->kind == kind);
      for (const auto& [node, count] : victim->devices) extra[node] += count;
    }
    RC_ASSERT(fits(c, job, kind, extra));
    for (const RunningGang* spared : victims) {
      std::map<NodeId, int> without = extra;
      for (const auto& [node, count] : spared->devices) without[node] -= count;
      RC_ASSERT(!fits(c, job, kind, without));
    }
  }
}

// An elastic job never waits while any of its numbers of nodes would do, and takes the largest.
RC_GTEST_PROP(SchedulePropertyTest, ElasticJobAloneTakesTheMostThatFits, ()) {
  Case c = *any_case();
  if (c.queue.empty()) return;
  c.queue.resize(1);
  QueuedJob& job = c.queue[0];
  job.accelerator = Accelerator::kCpu;
  const Decision decision = schedule(c.nodes, c.queue);
  std::vector<int> counts = {job.nodes};
  counts.insert(counts.end(), job.fewer.begin(), job.fewer.end());
  const auto best = std::find_if(counts.begin(), counts.end(), [&](int count) {
    QueuedJob fixed = job;
    fixed.nodes = count;
    fixed.fewer.clear();
    return fits(c, fixed, DeviceKind::kCpu, {});
  });
  RC_CLASSIFY(!job.fewer.empty(), "elastic");
  RC_ASSERT(decision.start.empty() == (best == counts.end()));
  if (best != counts.end()) RC_ASSERT(static_cast<int>(decision.start[0].nodes.size()) == *best);
}

// Who ends in order to grow is placed at once with what was promised, whatever else was decided.
RC_GTEST_PROP(SchedulePropertyTest, GangThatEndsToGrowGetsWhatItWasPromised, ()) {
  Case c = *any_case();
  std::vector<RunningGang> running = *any_running(c);
  RunningGang& gang = running[0];
  if (gang.devices.empty()) return;
  gang.ending = false;
  gang.preemptible = false;
  gang.claims = true;
  gang.submitted = *rc::gen::inRange(0, 4);
  gang.devices_per_node = gang.devices.begin()->second;
  for (auto& [node, count] : gang.devices)
    gang.devices_per_node = std::min(gang.devices_per_node, count);
  // What it holds beyond that many on each node belongs to nobody here.
  for (auto& [node, count] : gang.devices) count = gang.devices_per_node;
  const int own = static_cast<int>(gang.devices.size());
  for (int more = own + 3; more > own; --more) gang.larger.push_back(more);
  for (RunningGang& other : running) {
    if (&other == &gang) continue;
    other.ending = other.preemptible = false;
  }
  const Decision decision = schedule(c.nodes, c.queue, running);
  RC_CLASSIFY(!decision.grow.empty(), "it grows");
  if (decision.grow.empty()) return;
  RC_ASSERT(decision.grow.size() == 1u);
  RC_ASSERT(decision.grow[0].job == gang.id);
  const int promised = decision.grow[0].nodes;
  RC_ASSERT(promised > own);

  // Everything of the decision happens, and the gang ends.
  Case next;
  std::map<std::pair<NodeId, DeviceKind>, std::set<int>> taken;
  for (const Placement& placement : decision.start) {
    for (const NodePlacement& part : placement.nodes)
      taken[{part.node, placement.kind}].insert(part.devices.begin(), part.devices.end());
  }
  for (NodeView node : c.nodes) {
    for (const DeviceKind kind : {DeviceKind::kCpu, DeviceKind::kCuda}) {
      DevicesView& devices = kind == DeviceKind::kCuda ? node.cuda : node.cpu;
      std::set<int> free(devices.free.begin(), devices.free.end());
      if (kind == gang.kind && gang.devices.contains(node.id)) {
        int given = 0;
        for (int i = 0; i < devices.total && given < gang.devices.at(node.id); ++i)
          given += free.insert(i).second;
      }
      for (const int device : taken[{node.id, kind}]) free.erase(device);
      devices.free.assign(free.begin(), free.end());
    }
    next.nodes.push_back(node);
  }
  for (const Waiting& waiting : decision.wait) next.queue.push_back(job_of(c, waiting.job));
  QueuedJob again{
      .id = gang.id,
      .priority = gang.priority,
      .submitted = gang.submitted,
      .nodes = gang.larger[0],
      .devices_per_node = gang.devices_per_node,
      .accelerator = gang.kind == DeviceKind::kCuda ? Accelerator::kCuda : Accelerator::kCpu};
  again.fewer.assign(gang.larger.begin() + 1, gang.larger.end());
  again.fewer.push_back(own);
  next.queue.push_back(again);
  const Decision placed = schedule(next.nodes, next.queue);
  const auto found = std::find_if(placed.start.begin(), placed.start.end(),
                                  [&](const Placement& each) { return each.job == gang.id; });
  RC_ASSERT(found != placed.start.end());
  RC_ASSERT(static_cast<int>(found->nodes.size()) >= promised);
}

}  // namespace
}  // namespace lctl::scheduler
