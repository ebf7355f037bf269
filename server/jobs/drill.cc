#include "server/jobs/drill.h"

#include <fmt/format.h>

#include <utility>

namespace lctl::jobs {
namespace {

constexpr std::string_view kPrefix = "drill: ";

bool begins_anew(const JobRecord& record) {
  return record.spec->restart_from() == v1::RESTART_FROM_NONE;
}

}  // namespace

std::string_view name_of(Fault fault) {
  switch (fault) {
    case Fault::kKillRank:
      return "kill-rank";
    case Fault::kHang:
      return "hang";
    case Fault::kPreempt:
      return "preempt";
    case Fault::kPartition:
      return "partition";
    case Fault::kCorruptCheckpoint:
      return "corrupt-checkpoint";
  }
  return "fault";
}

absl::Status drill_refusal(const JobRecord& record, Fault fault, int rank, int checkpoints,
                           bool force, MonotonicTime now) {
  const auto refused = [&](std::string_view why) {
    return absl::FailedPreconditionError(
        fmt::format("job {} cannot be drilled: {}", record.job.id(), why));
  };
  if (record.job.state() != v1::JOB_STATE_RUNNING || is_ending(record)) {
    return refused(fmt::format("it is {}{}, and a drill needs a job that runs",
                               name_of(record.job.state()),
                               is_ending(record) ? " and its attempt is about to end" : ""));
  }
  if (rank < 0 || rank >= record.attempt.ranks_size()) {
    return absl::InvalidArgumentError(fmt::format("job {} has no rank {}: its ranks are 0 to {}",
                                                  record.job.id(), rank,
                                                  record.attempt.ranks_size() - 1));
  }
  if (record.attempt.ranks(rank).state() != v1::RANK_STATE_RUNNING) {
    return refused(fmt::format("its rank {} has ended", rank));
  }
  if (is_drilled(record.attempt) && now < record.drilled_until) {
    return refused("another drill is under way (" + record.attempt.reason() + ")");
  }
  if (fault == Fault::kCorruptCheckpoint && (checkpoints == 0 || begins_anew(record))) {
    return refused("there is no checkpoint that it would go on from and that could be damaged");
  }
  if (force) return absl::OkStatus();
  if (begins_anew(record)) {
    return refused(
        "`job.restart_from: none` would have it begin anew; --force drills it all the "
        "same");
  }
  const int needed = fault == Fault::kCorruptCheckpoint ? 2 : fault == Fault::kPreempt ? 0 : 1;
  if (checkpoints < needed) {
    return refused(checkpoints == 0
                       ? "it has no checkpoint yet, so all its work would be lost; wait for one "
                         "(`job.checkpoint_every`), or --force"
                       : "it has one checkpoint only, so without that it would begin anew; wait "
                         "for another one (`job.checkpoint_every`), or --force");
  }
  const int allowed = record.spec->max_restarts();
  if (record.job.restarts() >= allowed) {
    return refused(
        fmt::format("it has used its {} restarts (`job.max_restarts`): if more breaks "
                    "than the drill means to, it fails; --force drills it all the same",
                    allowed));
  }
  return absl::OkStatus();
}

bool is_drilled(const v1::Attempt& attempt) { return attempt.reason().starts_with(kPrefix); }

std::string drilled(std::string reason) {
  if (const auto guess = reason.find(kMemoryGuess); guess != std::string::npos) {
    reason.erase(guess, kMemoryGuess.size());
  }
  return reason.starts_with(kPrefix) ? reason : std::string(kPrefix) + std::move(reason);
}

void excuse(const JobRecord& record, Conclusion& end) {
  if (end.outcome == outcome::kSucceeded || end.outcome == outcome::kStopped ||
      end.cause == v1::END_CAUSE_USER || end.roll_back || end.unreadable) {
    return;
  }
  end.attempt_reason = drilled(std::move(end.attempt_reason));
  if (end.outcome == outcome::kFailed) {
    end.outcome = outcome::kLost;
    end.cause = v1::END_CAUSE_INFRASTRUCTURE;
    end.next = v1::JOB_STATE_QUEUED;
    end.restarts = record.job.restarts();
    end.attempts_without_progress = record.attempts_without_progress;
    end.pause = Duration::zero();
    end.failure = record.failure;
    end.job_reason =
        fmt::format("attempt {} was lost: {}", record.attempt.number(), end.attempt_reason);
  } else if (end.job_reason.find(kPrefix) == std::string::npos) {
    end.job_reason = drilled(std::move(end.job_reason));
  }
}

}  // namespace lctl::jobs
