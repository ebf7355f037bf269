// What the engine asks the scheduler, and what it does with the answer.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/jobs/engine.h"
#include "server/jobs/restart_point.h"
#include "storage/blobs/checkpoint_store.h"

namespace lctl::jobs {
namespace {

scheduler::Accelerator accelerator_of(const v1::Resources& resources) {
  if (resources.accelerator() == "cpu") return scheduler::Accelerator::kCpu;
  if (resources.accelerator() == "gpu") return scheduler::Accelerator::kCuda;
  return scheduler::Accelerator::kAuto;
}

// Of an elastic job: numbers of nodes that do as well as all of them, most first.
std::vector<int> fewer_nodes(const v1::JobSpec& spec) {
  std::vector<int> fewer;
  for (const int count : spec.elastic().node_counts()) {
    if (count < spec.resources().nodes()) fewer.push_back(count);
  }
  return fewer;
}

scheduler::QueuedJob queued(const JobRecord& record) {
  const v1::Resources& resources = record.spec->resources();
  std::vector<NodeId> excluded;
  for (const v1::ExcludedNode& node : record.job.excluded_nodes())
    excluded.emplace_back(node.node_id());
  return {.id = record.id(),
          .priority = record.spec->priority(),
          .submitted = record.job.submitted_us(),
          .nodes = resources.nodes(),
          .fewer = fewer_nodes(*record.spec),
          .devices_per_node = resources.devices_per_node(),
          .accelerator = accelerator_of(resources),
          .excluded = std::move(excluded),
          .avoided = {record.avoided.begin(), record.avoided.end()}};
}

std::string back_off_reason(const JobRecord& record, Duration left) {
  const auto seconds =
      std::max<std::int64_t>(1, std::chrono::round<std::chrono::seconds>(left).count());
  return fmt::format(
      "waiting: {} s before attempt {}, since {} attempts in a row left no newer checkpoint",
      seconds, record.attempt.number() + 1, record.attempts_without_progress);
}

}  // namespace

void JobsEngine::place() {
  reschedule_ = false;
  wake_at_.reset();
  const MonotonicTime time = options_.clock.monotonic_now();
  std::vector<scheduler::QueuedJob> queue;
  for (auto& [id, record] : records_) {
    if (record.job.state() != v1::JOB_STATE_QUEUED) continue;
    if (record.not_before > time) {
      record.waiting = back_off_reason(record, record.not_before - time);
      if (!wake_at_ || record.not_before < *wake_at_) wake_at_ = record.not_before;
      continue;
    }
    queue.push_back(queued(record));
  }
  const std::vector<scheduler::RunningGang> running = running_gangs();
  if (queue.empty() && running.empty()) return;

  const scheduler::Decision decision =
      scheduler::schedule(cluster_.views(records_), queue, running);
  ++counts_.scheduling_passes;
  counts_.scheduling_time += options_.clock.monotonic_now() - time;
  for (const scheduler::Waiting& waiting : decision.wait) {
    JobRecord& record = records_.at(waiting.job);
    if (record.waiting == waiting.reason) continue;
    record.waiting = waiting.reason;
    options_.feed.publish(waiting.job, [&] { return snapshot(record); });
  }
  for (const scheduler::Placement& placement : decision.start) place_one(placement);
  if (options_.preemption.by_priority) preempt(decision);
  grow(decision);
}

// For the scheduler: who may have to make room, and who is about to, with preemption; and elastic
// gangs that may grow.
std::vector<scheduler::RunningGang> JobsEngine::running_gangs() {
  std::vector<scheduler::RunningGang> gangs;
  const bool preempting = options_.preemption.by_priority;
  const WallTime now = options_.clock.wall_now();
  for (const auto& [id, record] : records_) {
    if (!is_active(record.job.state())) continue;
    scheduler::RunningGang gang{.id = id,
                                .priority = record.spec->priority(),
                                .started = record.attempt.started_us(),
                                .ending = is_ending(record)};
    gang.preemptible =
        preempting && !record.spec->never_preempt() && time_left(record, now) <= Duration::zero();
    describe_growth(record, gang);
    if (!preempting && gang.larger.empty()) continue;
    for (const v1::RankStatus& rank : record.attempt.ranks()) {
      if (!holds_device(rank.state())) continue;
      gang.kind = rank.device_kind() == to_string(scheduler::DeviceKind::kCuda)
                      ? scheduler::DeviceKind::kCuda
                      : scheduler::DeviceKind::kCpu;
      ++gang.devices[NodeId{rank.node_id()}];
    }
    gangs.push_back(std::move(gang));
  }
  return gangs;
}

// Of the time that every attempt is granted before it may have to make room.
Duration JobsEngine::time_left(const JobRecord& record, WallTime now) const {
  // A clock that was set back must not stretch it.
  const Duration ran =
      std::max<Duration>(Duration::zero(), now - from_unix_micros(record.attempt.started_us()));
  return options_.preemption.minimum_run - ran;
}

// Asks the gangs that have to make room, and comes back when the next one may be asked.
void JobsEngine::preempt(const scheduler::Decision& decision) {
  for (const scheduler::Preemption& each : decision.preempt) {
    JobRecord& victim = records_.at(each.victim);
    const JobRecord& goes_first = records_.at(each.beneficiary);
    handle(victim, PreemptRequested{preemption_grace(*victim.spec),
                                    fmt::format("job {} goes before it (priority {}, its own is "
                                                "{})",
                                                each.beneficiary.str(), goes_first.spec->priority(),
                                                victim.spec->priority())});
    ++counts_.preemptions;
  }
  int highest = -1;
  for (const scheduler::Waiting& waiting : decision.wait) {
    if (waiting.cause == scheduler::WaitCause::kImpossible) continue;
    highest = std::max(highest, records_.at(waiting.job).spec->priority());
  }
  const Moment time = now();
  for (const auto& [id, record] : records_) {
    if (!is_active(record.job.state()) || is_ending(record) || record.spec->never_preempt() ||
        record.spec->priority() >= highest) {
      continue;
    }
    const Duration left = time_left(record, time.wall);
    if (left > Duration::zero() && (!wake_at_ || time.monotonic + left < *wake_at_)) {
      wake_at_ = time.monotonic + left;
    }
  }
}

// The checkpoint that the next attempt goes on from; nullopt = from the beginning.
absl::StatusOr<std::optional<storage::CheckpointRow>> JobsEngine::start_of(
    const JobRecord& record) const {
  const RestartPoint point = restart_point(record);
  if (point == RestartPoint::kBeginning) return std::nullopt;
  if (point == RestartPoint::kBest) {
    LCTL_ASSIGN_OR_RETURN(const auto all, options_.store.checkpoints().list(record.id()));
    if (const storage::CheckpointRow* best = best_checkpoint(all, eligible(record))) return *best;
  }
  auto newest = options_.store.checkpoints().newest(record.id(), eligible(record));
  if (absl::IsNotFound(newest.status())) return std::nullopt;
  LCTL_RETURN_IF_ERROR(newest.status());
  return *std::move(newest);
}

void JobsEngine::place_one(const scheduler::Placement& placement) {
  JobRecord& record = records_.at(placement.job);
  Placed placed;
  for (const scheduler::NodePlacement& part : placement.nodes) {
    const NodeInfo& info = *cluster_.find(part.node);
    Placed::Node node{.id = part.node, .name = info.name, .address = info.address};
    for (const int device : part.devices) {
      node.devices.push_back({device, std::string(to_string(placement.kind))});
    }
    placed.nodes.push_back(std::move(node));
  }
  const auto start = start_of(record);
  if (!start.ok()) {
    record.waiting = fmt::format("waiting: the checkpoint to go on from cannot be read: {}",
                                 message_of(start.status()));
    reschedule_ = true;
    retry_later(fmt::format("placing job {}", placement.job.str()), start.status());
    return;
  }
  if (*start) {
    placed.resume_checkpoint_id = (*start)->id.str();
    placed.resume_checkpoint_size = (*start)->written.size();
    placed.resume_step = (*start)->written.global_step();
  }
  handle(record, placed);
  ++counts_.attempts_placed;
}

}  // namespace lctl::jobs
