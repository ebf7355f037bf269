// The engine's loop: expire, conclude, commit, act, place, commit, act. Placing is in
// engine_placing.cc.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "server/jobs/engine.h"
#include "server/jobs/restart_point.h"
#include "server/jobs/roll_back.h"
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

// An error that the next try may not meet.
bool is_passing(const absl::Status& status) {
  return !absl::IsNotFound(status) && !absl::IsFailedPrecondition(status) &&
         !absl::IsInvalidArgument(status) && !absl::IsAlreadyExists(status);
}

}  // namespace

void JobsEngine::settle() {
  retry_at_.reset();
  const MonotonicTime time = options_.clock.monotonic_now();
  expire(time);
  conclude_gangs();
  pay_tags();
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
  for (const auto& [job, time] : hangs_due_) sooner(time);
  return next;
}

void JobsEngine::expire(MonotonicTime time) {
  for (const auto& [node, attempt] : cluster_.expire_stale(time)) {
    log().warn("node {} did not confirm the end of {}; it gets new ranks all the same", node.str(),
               attempt.str());
    commands_.push_back(ForgetCommand{node, attempt});
    reschedule_ = true;
  }
  std::vector<JobId> hung;
  for (const auto& [job, due] : hangs_due_) {
    if (due <= time) hung.push_back(job);
  }
  for (const JobId& job : hung) {
    if (const auto found = records_.find(job); found != records_.end()) {
      handle(found->second, HangDue{});
    }
    hangs_due_.erase(job);
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
    JobRecord& record = found->second;
    handle(record, *std::move(facts));
    if (record.job.state() == v1::JOB_STATE_QUEUED) ++counts_.requeued[record.attempt.cause()];
  }
}

// Tags that log policies have set. They are no part of a job's changes: label() writes them.
void JobsEngine::pay_tags() {
  while (!tags_owed_.empty()) {
    const auto owed = tags_owed_.begin();
    const auto done =
        label(owed->first,
              {.tags = {owed->second.begin(), owed->second.end()}, .removed_tags = {}, .note = {}});
    if (!done.ok() && is_passing(done.status())) {
      retry_later("setting the tags of log policies", done.status());
      return;
    }
    if (!done.ok()) {
      log().warn("job {}: the tag of a log policy was not set: {}", owed->first.str(),
                 message_of(done.status()));
    }
    tags_owed_.erase(owed);
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
  storage::Eligible wanted = eligible(record);
  if (const v1::Finished* said = roll_back_of(facts.finished)) {
    wanted.before_step = said->roll_back_before();
  } else if (const v1::Finished* torn = unreadable_of(facts.finished);
             torn != nullptr && !record.attempt.resumed_from_checkpoint().empty() &&
             !record.unreadable) {
    LCTL_RETURN_IF_ERROR(options_.store.checkpoints().mark_unreadable(
        CheckpointId{record.attempt.resumed_from_checkpoint()},
        fmt::format("the trainer cannot read it: {}", torn->message())));
  }
  const auto newest = options_.store.checkpoints().newest(record.id(), wanted);
  if (newest.ok()) {
    facts.newest_checkpoint = newest->id.str();
  } else if (!absl::IsNotFound(newest.status())) {
    return newest.status();
  }
  return facts;
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
  tags_owed_.erase(id);
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
    } else if (const auto* dump = std::get_if<DumpCommand>(&command)) {
      options_.launcher.dump_stacks(dump->node, dump->attempt);
    } else if (const auto* forget = std::get_if<ForgetCommand>(&command)) {
      options_.launcher.forget(forget->node, forget->attempt);
    } else if (const auto* fault = std::get_if<FaultCommand>(&command)) {
      options_.launcher.inject(fault->node, fault->attempt, fault->rank, fault->fault,
                               fault->duration);
    } else if (const auto* verify = std::get_if<VerifyCommand>(&command)) {
      if (options_.verify_checkpoint) {
        options_.verify_checkpoint(verify->attempt, CheckpointId{verify->checkpoint});
      }
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
