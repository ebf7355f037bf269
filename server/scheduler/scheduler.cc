#include "server/scheduler/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "server/scheduler/device_pool.h"
#include "server/scheduler/making_room.h"

namespace lctl::scheduler {
namespace {

std::string counted(int count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string devices(int count, DeviceKind kind) {
  return counted(count, kind == DeviceKind::kCuda ? "GPU" : "cpu slot");
}

// "needs 8 GPUs on one node", "needs at least 2 nodes with 4 GPUs each".
std::string need(const GangShape& gang, DeviceKind kind) {
  const std::string_view least = gang.at_least ? "at least " : "";
  if (gang.nodes == 1)
    return fmt::format("needs {}{} on one node", least, devices(gang.devices_per_node, kind));
  return fmt::format("needs {}{} nodes with {} each", least, gang.nodes,
                     devices(gang.devices_per_node, kind));
}

std::string why_impossible(const DevicePool& pool, const GangShape& gang, bool any_node) {
  const DevicePool::Census census = pool.census(gang);
  std::string why;
  if (!any_node) {
    why = "but no node is connected";
  } else if (census.nodes == census.excluded) {
    why = fmt::format("but no node {} {}", census.nodes == 0 ? "has" : "that it may use has",
                      pool.kind() == DeviceKind::kCuda ? "GPUs" : "cpu slots");
  } else if (gang.nodes == 1) {
    why = fmt::format("but the largest node has {}", census.largest);
  } else {
    why = fmt::format("but only {} of {} {} that many", census.big_enough,
                      counted(census.nodes - census.excluded, "node"),
                      census.big_enough == 1 ? "has" : "have");
  }
  if (census.excluded > 0) {
    why += fmt::format(" ({} left out: excluded for this job)", counted(census.excluded, "node"));
  }
  return fmt::format("waiting: {}, {}; it starts when such nodes join", need(gang, pool.kind()),
                     why);
}

Waiting why_not_now(const DevicePool& pool, const QueuedJob& job, const GangShape& gang) {
  const DevicePool::Census census = pool.census(gang);
  const int without_reservation = census.fit_now + census.fit_but_reserved;
  if (without_reservation >= gang.nodes) {
    LCTL_CHECK(pool.reserved_for().has_value(), "a gang that fits waits only behind a reservation");
    return {job.id, WaitCause::kReserved,
            fmt::format("waiting: {}; they are kept for job {}, which is before it in the queue",
                        need(gang, pool.kind()), pool.reserved_for()->str())};
  }
  std::string state = gang.nodes == 1 ? fmt::format("the largest free is {}", census.largest_free)
                                      : fmt::format("{} {} them free", census.fit_now,
                                                    census.fit_now == 1 ? "has" : "have");
  if (census.silent > 0) {
    state += fmt::format(", {} {} no new ranks just now", counted(census.silent, "node"),
                         census.silent == 1 ? "takes" : "take");
  }
  return {
      job.id, WaitCause::kBusy,
      fmt::format("waiting: {}, {}; it starts when others end", need(gang, pool.kind()), state)};
}

// One decision in the making.
class Round {
 public:
  Round(std::span<const NodeView* const> nodes, std::span<const RunningGang> running)
      : any_node_(!nodes.empty()),
        running_(running),
        cpu_(DeviceKind::kCpu, nodes),
        cuda_(DeviceKind::kCuda, nodes) {
    for (const RunningGang& gang : running_) {
      if (!gang.ending) continue;
      any_ending_ = true;
      cpu_.expect(gang);
      cuda_.expect(gang);
    }
  }

  void consider(const QueuedJob& job, Decision& decision) {
    LCTL_CHECK(job.nodes >= 1 && job.devices_per_node >= 1, "a gang has at least one rank");
    const GangShape gang{fewest(job), job.devices_per_node, job.excluded, !job.fewer.empty()};
    DevicePool& pool = pool_for(job, gang);

    if (const Waiting* seen = remembered(pool, job)) {
      decision.wait.push_back({job.id, seen->cause, seen->reason});
      return;
    }
    Waiting waiting;
    if (!pool.could_ever_fit(gang)) {
      waiting = {job.id, WaitCause::kImpossible, why_impossible(pool, gang, any_node_)};
    } else if (auto nodes = take(pool, job)) {
      decision.start.push_back({job.id, pool.kind(), *std::move(nodes)});
      seen_.clear();  // counts of free devices have changed
      return;
    } else {
      waiting = why_not_now(pool, job, gang);
      if (!pool.reserved_for()) {
        make_room(pool, job, gang, waiting, decision);
        pool.reserve(job.id, gang);
        seen_.clear();
        decision.wait.push_back(std::move(waiting));
        return;
      }
    }
    if (job.excluded.empty()) seen_.insert_or_assign(shape_of(pool, job), waiting);
    decision.wait.push_back(std::move(waiting));
  }

  // A running gang, in its job's place.
  void consider(const RunningGang& gang, Decision& decision) {
    DevicePool& pool = gang.kind == DeviceKind::kCuda ? cuda_ : cpu_;
    if (pool.reserved_for()) return;  // somebody waits before it
    for (const int nodes : gang.larger) {
      const GangShape shape{nodes, gang.devices_per_node, gang.excluded};
      if (!pool.would_fit(shape, gang.devices)) continue;
      if (!gang.ending) decision.grow.push_back({gang.id, nodes});
      if (!gang.claims) return;
      if (!gang.ending) pool.expect(gang);
      pool.reserve(gang.id, shape);
      seen_.clear();
      return;
    }
  }

 private:
  using Shape = std::tuple<DeviceKind, int, int, bool>;

  static int fewest(const QueuedJob& job) {
    return job.fewer.empty() ? job.nodes : job.fewer.back();
  }

  // The most nodes that fit.
  static std::optional<std::vector<NodePlacement>> take_most(DevicePool& pool, const QueuedJob& job,
                                                             std::span<const NodeId> excluded) {
    auto taken = pool.take({job.nodes, job.devices_per_node, excluded});
    for (auto nodes = job.fewer.begin(); !taken && nodes != job.fewer.end(); ++nodes)
      taken = pool.take({*nodes, job.devices_per_node, excluded});
    return taken;
  }

  static std::optional<std::vector<NodePlacement>> take(DevicePool& pool, const QueuedJob& job) {
    if (!job.avoided.empty()) {
      std::vector<NodeId> left_out = job.excluded;
      left_out.insert(left_out.end(), job.avoided.begin(), job.avoided.end());
      if (auto elsewhere = take_most(pool, job, left_out)) return elsewhere;
    }
    return take_most(pool, job, job.excluded);
  }

  // Names the gangs that have to end for the job, where that helps.
  void make_room(DevicePool& pool, const QueuedJob& job, const GangShape& gang, Waiting& waiting,
                 Decision& decision) const {
    std::vector<const RunningGang*> candidates;
    for (const RunningGang& each : running_) {
      if (each.preemptible && !each.ending && each.kind == pool.kind() &&
          each.priority < job.priority) {
        candidates.push_back(&each);
      }
    }
    if (candidates.empty() && !any_ending_) return;
    const auto victims = whom_to_end(pool.room_for(gang), gang, candidates);
    if (!victims) return;
    if (victims->empty()) {
      waiting.reason =
          fmt::format("waiting: {}; jobs that are ending make room", need(gang, pool.kind()));
      return;
    }
    for (const RunningGang* victim : *victims) {
      decision.preempt.push_back({victim->id, job.id});
      pool.expect(*victim);
    }
    waiting.reason = fmt::format(
        "waiting: {}; {} of lower priority {} a checkpoint and {} room", need(gang, pool.kind()),
        counted(static_cast<int>(victims->size()), "job"),
        victims->size() == 1 ? "writes" : "write", victims->size() == 1 ? "makes" : "make");
  }

  static Shape shape_of(const DevicePool& pool, const QueuedJob& job) {
    return {pool.kind(), fewest(job), job.devices_per_node, !job.fewer.empty()};
  }

  DevicePool& pool_for(const QueuedJob& job, const GangShape& gang) {
    switch (job.accelerator) {
      case Accelerator::kCpu:
        return cpu_;
      case Accelerator::kCuda:
        return cuda_;
      case Accelerator::kAuto:
        break;
    }
    return cuda_.could_ever_fit(gang) ? cuda_ : cpu_;
  }

  // The answer for a job of the same shape, valid since nothing was taken after it.
  const Waiting* remembered(const DevicePool& pool, const QueuedJob& job) const {
    if (!job.excluded.empty()) return nullptr;
    const auto found = seen_.find(shape_of(pool, job));
    return found == seen_.end() ? nullptr : &found->second;
  }

  bool any_node_;
  std::span<const RunningGang> running_;
  bool any_ending_ = false;
  DevicePool cpu_;
  DevicePool cuda_;
  std::map<Shape, Waiting> seen_;
};

}  // namespace

std::string_view to_string(DeviceKind kind) { return kind == DeviceKind::kCuda ? "cuda" : "cpu"; }

Decision schedule(std::span<const NodeView> nodes, std::span<const QueuedJob> queue,
                  std::span<const RunningGang> running) {
  std::vector<const NodeView*> by_id;
  by_id.reserve(nodes.size());
  for (const NodeView& node : nodes) by_id.push_back(&node);
  std::sort(by_id.begin(), by_id.end(),
            [](const NodeView* a, const NodeView* b) { return a->id < b->id; });

  // A running gang that may grow has its job's place among those that wait.
  struct Turn {
    std::tuple<int, std::int64_t, std::reference_wrapper<const JobId>> place;
    const QueuedJob* queued = nullptr;
    const RunningGang* running = nullptr;
  };
  std::vector<Turn> order;
  order.reserve(queue.size());
  for (const QueuedJob& job : queue)
    order.push_back({.place = {-job.priority, job.submitted, job.id}, .queued = &job});
  for (const RunningGang& gang : running) {
    if (!gang.larger.empty())
      order.push_back({.place = {-gang.priority, gang.submitted, gang.id}, .running = &gang});
  }
  std::sort(order.begin(), order.end(),
            [](const Turn& a, const Turn& b) { return a.place < b.place; });

  Decision decision;
  Round round(by_id, running);
  for (const Turn& turn : order) {
    if (turn.queued != nullptr) {
      round.consider(*turn.queued, decision);
    } else {
      round.consider(*turn.running, decision);
    }
  }
  return decision;
}

}  // namespace lctl::scheduler
