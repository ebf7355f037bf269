// The engine's loop: expire, conclude, commit, act, place, commit, act.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "server/jobs/engine.h"
#include "storage/blobs/checkpoint_store.h"
#include "storage/jobs/job_store.h"
#include "storage/metrics/event_store.h"

namespace lctl::jobs {
namespace {

constexpr Duration kStoreRetry = std::chrono::seconds(1);

spdlog::logger& log() {
  static spdlog::logger& named = logger("jobs");
  return named;
}

const JobId& job_of(const Command& command) {
  return std::visit(
      [](const auto& each) -> const JobId& {
        if constexpr (requires { each.order; }) {
          return each.order.attempt.job;
        } else {
          return each.attempt.job;
        }
      },
      command);
}

scheduler::Accelerator accelerator_of(const v1::Resources& resources) {
  if (resources.accelerator() == "cpu") return scheduler::Accelerator::kCpu;
  if (resources.accelerator() == "gpu") return scheduler::Accelerator::kCuda;
  return scheduler::Accelerator::kAuto;
}

scheduler::QueuedJob queued(const JobRecord& record) {
  const v1::Resources& resources = record.spec->resources();
  return {.id = record.id(),
          .priority = record.spec->priority(),
          .submitted = record.job.submitted_us(),
          .nodes = resources.nodes(),
          .devices_per_node = resources.devices_per_node(),
          .accelerator = accelerator_of(resources),
          .excluded = {record.excluded.begin(), record.excluded.end()}};
}

// An error that the next try may not meet.
bool is_passing(const absl::Status& status) {
  return !absl::IsNotFound(status) && !absl::IsFailedPrecondition(status) &&
         !absl::IsInvalidArgument(status) && !absl::IsAlreadyExists(status);
}

std::string back_off_reason(const JobRecord& record, Duration left) {
  const auto seconds =
      std::max<std::int64_t>(1, std::chrono::round<std::chrono::seconds>(left).count());
  return fmt::format(
      "waiting: {} s before attempt {}, since {} attempts in a row left no newer checkpoint",
      seconds, record.attempt.number() + 1, record.attempts_without_progress);
}

}  // namespace

void JobsEngine::settle() {
  retry_at_.reset();
  const MonotonicTime time = options_.clock.monotonic_now();
  expire(time);
  conclude_gangs();
  if (flush().ok() && (reschedule_ || (wake_at_ && *wake_at_ <= time))) {
    place();
    static_cast<void>(flush());  // what it could not commit it keeps, and has logged why
  }
  if (alarmed_ && !retry_at_) {
    log().info("the store works again");
    alarmed_ = false;
  }
}

std::optional<MonotonicTime> JobsEngine::next_deadline() const {
  std::optional<MonotonicTime> next = retry_at_;
  const auto sooner = [&](std::optional<MonotonicTime> time) {
    if (time && (!next || *time < *next)) next = time;
  };
  sooner(wake_at_);
  sooner(cluster_.next_expiry());
  for (const auto& [node, time] : awaited_) sooner(time);
  return next;
}

void JobsEngine::expire(MonotonicTime time) {
  for (const auto& [node, attempt] : cluster_.expire_stale(time)) {
    log().warn("node {} did not confirm the end of {}; it gets new ranks all the same", node.str(),
               attempt.str());
    commands_.push_back(ForgetCommand{node, attempt});
    reschedule_ = true;
  }
  std::vector<NodeId> gone;
  for (const auto& [node, until] : awaited_) {
    if (until <= time) gone.push_back(node);
  }
  for (const NodeId& node : gone) {
    node_lost(node,
              fmt::format("node {} did not come back after the server's restart", node.str()));
  }
}

// --- ends of attempts ---

void JobsEngine::conclude_gangs() {
  const std::set<JobId> over = std::exchange(over_, {});
  for (const JobId& id : over) {
    const auto found = records_.find(id);
    if (found == records_.end()) continue;
    auto facts = gather(found->second);
    if (!facts.ok()) {
      over_.insert(id);
      retry_later(fmt::format("reading how job {} ended", id.str()), facts.status());
      continue;
    }
    handle(found->second, *std::move(facts));
  }
}

absl::StatusOr<GangOver> JobsEngine::gather(const JobRecord& record) const {
  GangOver facts;
  facts.finished.resize(static_cast<std::size_t>(record.attempt.ranks_size()));
  for (const v1::RankStatus& rank : record.attempt.ranks()) {
    if (rank.rank() != 0 && rank.exit_code() == 0) continue;  // it has nothing to explain
    LCTL_ASSIGN_OR_RETURN(auto result,
                          options_.store.events().rank_result(record.attempt_id(), rank.rank()));
    if (result) facts.finished[static_cast<std::size_t>(rank.rank())] = std::move(result->finished);
  }
  const auto newest = options_.store.checkpoints().newest(record.id());
  if (newest.ok()) {
    facts.newest_checkpoint = newest->id.str();
  } else if (!absl::IsNotFound(newest.status())) {
    return newest.status();
  }
  return facts;
}

// --- placing ---

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
  if (queue.empty()) return;

  const scheduler::Decision decision = scheduler::schedule(cluster_.views(records_), queue);
  ++counts_.scheduling_passes;
  counts_.scheduling_time += options_.clock.monotonic_now() - time;
  for (const scheduler::Waiting& waiting : decision.wait) {
    JobRecord& record = records_.at(waiting.job);
    if (record.waiting == waiting.reason) continue;
    record.waiting = waiting.reason;
    options_.feed.publish(waiting.job, [&] { return snapshot(record); });
  }
  for (const scheduler::Placement& placement : decision.start) place_one(placement);
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
  if (record.job.attempt() > 0) {
    const auto newest = options_.store.checkpoints().newest(placement.job);
    if (newest.ok()) {
      placed.resume_checkpoint_id = newest->id.str();
      placed.resume_checkpoint_size = newest->written.size();
      placed.resume_step = newest->written.global_step();
    } else if (!absl::IsNotFound(newest.status())) {
      record.waiting = fmt::format("waiting: its newest checkpoint cannot be read: {}",
                                   message_of(newest.status()));
      reschedule_ = true;
      retry_later(fmt::format("placing job {}", placement.job.str()), newest.status());
      return;
    }
  }
  handle(record, placed);
  ++counts_.attempts_placed;
}

// --- committing and acting ---

std::vector<storage::JobChange> JobsEngine::changes_of(const JobId& id) const {
  const JobRecord& record = records_.at(id);
  const std::vector<v1::Transition>& transitions = dirty_.at(id);
  std::vector<storage::JobChange> changes(std::max<std::size_t>(1, transitions.size()));
  for (std::size_t i = 0; i < changes.size(); ++i) {
    changes[i].job = record.job;
    if (i < transitions.size()) changes[i].transition = transitions[i];
  }
  if (record.attempt.number() > 0) changes.back().attempt = record.attempt;
  return changes;
}

absl::Status JobsEngine::flush() {
  std::vector<storage::JobChange> changes;
  for (const auto& [id, transitions] : dirty_) {
    auto more = changes_of(id);
    std::move(more.begin(), more.end(), std::back_inserter(changes));
  }
  if (!changes.empty()) {
    absl::Status status = options_.store.jobs().record(changes);
    if (status.ok()) {
      for (const auto& [id, transitions] : dirty_) committed_.insert(id);
      dirty_.clear();
    } else if (!is_passing(status)) {
      status = record_one_by_one();
    }
    if (!status.ok()) {
      retry_later("committing changes of jobs", status);
      return status;
    }
  }
  act();
  return absl::OkStatus();
}

// Some job's change is refused for good; the others must not wait for it.
absl::Status JobsEngine::record_one_by_one() {
  while (!dirty_.empty()) {
    const JobId id = dirty_.begin()->first;
    const absl::Status status = options_.store.jobs().record(changes_of(id));
    if (!status.ok() && is_passing(status)) return status;
    dirty_.erase(id);
    if (status.ok()) {
      committed_.insert(id);
    } else {
      take_from_store(id, status);
    }
  }
  return absl::OkStatus();
}

// The store and this memory disagree about a job: the store is right.
void JobsEngine::take_from_store(const JobId& id, const absl::Status& why) {
  log().error("job {}: the store refuses a change, and its own state is taken instead: {}",
              id.str(), message_of(why));
  std::erase_if(commands_, [&](const Command& command) { return job_of(command) == id; });
  over_.erase(id);
  auto stored = load(id);
  if (stored.ok() && !is_final(stored->job.state())) {
    records_.insert_or_assign(id, *std::move(stored));
  } else {
    records_.erase(id);
  }
  reschedule_ = true;
}

// All that was applied is durable: now the world may see it.
void JobsEngine::act() {
  for (const Command& command : std::exchange(commands_, {})) {
    if (const auto* launch = std::get_if<LaunchCommand>(&command)) {
      options_.launcher.launch(launch->node, launch->order);
    } else if (const auto* stop = std::get_if<StopCommand>(&command)) {
      options_.launcher.stop(stop->node, stop->attempt, stop->grace, stop->reason);
    } else if (const auto* forget = std::get_if<ForgetCommand>(&command)) {
      options_.launcher.forget(forget->node, forget->attempt);
    }
  }
  for (const JobId& id : std::exchange(committed_, {})) {
    const auto found = records_.find(id);
    if (found == records_.end()) continue;
    const JobRecord& record = found->second;
    options_.feed.publish(id, [&] {
      if (!is_final(record.job.state())) return snapshot(record);
      // The last word comes from the store: it holds what the ranks said of their end.
      auto job = options_.store.jobs().get(id);
      return job.ok() ? *std::move(job) : snapshot(record);
    });
    if (!is_final(record.job.state())) continue;
    ++counts_.finished[record.job.state()];
    records_.erase(found);
  }
}

void JobsEngine::retry_later(std::string_view what, const absl::Status& status) {
  if (!alarmed_)
    log().error("{} failed and is tried again every second: {}", what, message_of(status));
  alarmed_ = true;
  retry_at_ = options_.clock.monotonic_now() + kStoreRetry;
}

}  // namespace lctl::jobs
