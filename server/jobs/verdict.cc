#include "server/jobs/verdict.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/jobs/drill.h"
#include "server/jobs/roll_back.h"

namespace lctl::jobs {
namespace {

using FinishedByRank = std::span<const std::optional<v1::Finished>>;

const v1::Finished* said_by(FinishedByRank finished, int rank) {
  const auto at = static_cast<std::size_t>(rank);
  return rank >= 0 && at < finished.size() && finished[at] ? &*finished[at] : nullptr;
}

bool is_bad_spec(const v1::RankStatus& rank, FinishedByRank finished) {
  const v1::Finished* said = said_by(finished, rank.rank());
  return said != nullptr ? said->outcome() == v1::Finished::OUTCOME_BAD_SPEC
                         : rank.exit_code() == kExitBadSpec;
}

// "rank 1 failed: out of range in layer 3", else "rank 1 was killed by SIGKILL (signal 9): last
// line".
std::string describe_rank(const v1::RankStatus& rank, FinishedByRank finished) {
  const v1::Finished* said = said_by(finished, rank.rank());
  if (said != nullptr && !said->message().empty()) {
    return fmt::format("rank {} failed: {}", rank.rank(), said->message());
  }
  std::string text = fmt::format("rank {} {}", rank.rank(), describe_exit(rank.exit_code()));
  if (rank.exit_code() == 128 + 9) text += kMemoryGuess;
  if (!rank.message().empty()) text += fmt::format(": {}", rank.message());
  return text;
}

std::string bad_spec_reason(const v1::RankStatus& rank, FinishedByRank finished) {
  const v1::Finished* said = said_by(finished, rank.rank());
  if (said != nullptr && !said->message().empty()) return said->message();
  if (!rank.message().empty()) return rank.message();
  return fmt::format("the trainer refused the configuration (rank {} exited with code {})",
                     rank.rank(), rank.exit_code());
}

void conclude_stop(const JobRecord& record, Conclusion& end) {
  const auto& ranks = record.attempt.ranks();
  end.outcome = outcome::kStopped;
  end.next = v1::JOB_STATE_STOPPED;
  end.job_reason = record.job.reason();
  const auto killed = std::find_if(ranks.begin(), ranks.end(), [](const auto& rank) {
    return rank.state() == v1::RANK_STATE_LOST || rank.exit_code() == 128 + 9;
  });
  if (killed != ranks.end()) {
    end.job_reason += fmt::format("; rank {} {}", killed->rank(),
                                  killed->state() == v1::RANK_STATE_LOST
                                      ? "was lost with its node"
                                      : "was killed: it did not end within the grace time");
  }
  end.attempt_reason = end.job_reason;
}

// Why this failure is the last one; "" = there is another try.
std::string why_the_last(const JobRecord& record, const Failure& now, const Conclusion& end) {
  if (!record.job.retries_cancelled().empty()) {
    return "not tried again: " + record.job.retries_cancelled();
  }
  if (record.failure && !record.spec->retry_crash_loops()) {
    std::string why = why_not_again(*record.failure, now, end.attempts_without_progress >= 2);
    if (!why.empty()) return why + "; `job.crash_loop: retry` uses all restarts";
  }
  const int allowed = record.spec->max_restarts();
  if (allowed > 0 && record.job.restarts() >= allowed) {
    return fmt::format("all {} restarts are used", allowed);
  }
  return "";
}

void conclude_failure(const JobRecord& record, v1::EndCause cause, std::string reason,
                      Conclusion& end) {
  const int allowed = record.spec->max_restarts();
  end.outcome = outcome::kFailed;
  end.cause = cause;
  end.attempt_reason = reason;
  v1::Attempt ended = record.attempt;
  ended.set_cause(cause);
  ended.set_reason(reason);
  end.failure = failure_of(ended);
  if (const std::string last = why_the_last(record, *end.failure, end);
      !last.empty() || allowed == 0) {
    end.next = v1::JOB_STATE_FAILED;
    end.job_reason = last.empty() ? std::move(reason) : fmt::format("{}; {}", reason, last);
    return;
  }
  end.next = v1::JOB_STATE_QUEUED;
  end.restarts = record.job.restarts() + 1;
  end.job_reason = fmt::format("attempt {} failed, restart {} of {}: {}", record.attempt.number(),
                               end.restarts, allowed, reason);
}

// Where the attempt after one that chose another checkpoint begins.
std::string goes_on_from(std::string_view checkpoint) {
  return checkpoint.empty()
             ? "no checkpoint is left: the next attempt begins anew"
             : fmt::format("the next attempt goes on from checkpoint {}", checkpoint);
}

void conclude_roll_back(const JobRecord& record, const v1::Finished& said,
                        std::string_view newest_checkpoint, Conclusion& end) {
  end.cause = v1::END_CAUSE_ROLLED_BACK;
  end.attempt_reason = said.message();
  end.roll_back = said;  // also for the attempt after a resume
  if (record.roll_backs >= said.max_roll_backs()) {
    end.outcome = outcome::kFailed;
    end.next = v1::JOB_STATE_FAILED;
    end.job_reason = fmt::format(
        "{}; all {} roll-backs are used (max_roll_backs): look at these batches, or train with a "
        "smaller learning rate or gradient_clip_val",
        said.message(), said.max_roll_backs());
    return;
  }
  end.outcome = outcome::kRolledBack;
  end.failure = record.failure;
  end.next = v1::JOB_STATE_QUEUED;
  end.job_reason =
      fmt::format("attempt {} is rolled back to before step {} ({} of {}): {}; {}",
                  record.attempt.number(), said.roll_back_before(), record.roll_backs + 1,
                  said.max_roll_backs(), said.message(), goes_on_from(newest_checkpoint));
}

// One torn file is passed over. Two in a row are no accident: all would be passed over one by one,
// and training begin anew, for a fault of the program.
void conclude_unreadable(const JobRecord& record, const v1::Finished& said,
                         std::string_view newest_checkpoint, Conclusion& end) {
  end.unreadable = true;
  end.attempt_reason = fmt::format("checkpoint {} cannot be read: {}",
                                   record.attempt.resumed_from_checkpoint(), said.message());
  if (record.unreadable) {
    end.outcome = outcome::kFailed;
    end.cause = v1::END_CAUSE_PROGRAM;
    end.next = v1::JOB_STATE_FAILED;
    end.job_reason = end.attempt_reason +
                     "; nor could the one before it: not tried again; perhaps the trainer is of "
                     "another version than the one that wrote them";
    return;
  }
  end.outcome = outcome::kLost;
  end.cause = v1::END_CAUSE_INFRASTRUCTURE;
  end.failure = record.failure;
  end.next = v1::JOB_STATE_QUEUED;
  end.job_reason = fmt::format("attempt {} was lost: {}; {}", record.attempt.number(),
                               end.attempt_reason, goes_on_from(newest_checkpoint));
}

// The rank whose end gave the verdict; nullptr = a launch did, or nothing yet.
const v1::RankStatus* culprit_of(const v1::Attempt& attempt) {
  if (!attempt.has_culprit()) return nullptr;
  return &attempt.ranks(attempt.culprit());
}

Conclusion conclude_undrilled(const JobRecord& record, FinishedByRank finished,
                              std::string_view newest_checkpoint);

}  // namespace

Verdict verdict_of_exit(const v1::RankStatus& rank) {
  if (rank.exit_code() == kExitStopped) {
    return {outcome::kPreempted, v1::END_CAUSE_INFRASTRUCTURE,
            fmt::format("rank {} was interrupted on its node (exit code {} without a stop request)",
                        rank.rank(), kExitStopped)};
  }
  return {outcome::kFailed, cause_of_exit(rank.exit_code(), nullptr), describe_rank(rank, {})};
}

Conclusion conclude(const JobRecord& record, FinishedByRank finished,
                    std::string_view newest_checkpoint) {
  Conclusion end = conclude_undrilled(record, finished, newest_checkpoint);
  if (is_drilled(record.attempt)) excuse(record, end);
  return end;
}

namespace {

Conclusion conclude_undrilled(const JobRecord& record, FinishedByRank finished,
                              std::string_view newest_checkpoint) {
  const auto& ranks = record.attempt.ranks();
  const auto any = [&](auto predicate) {
    return std::find_if(ranks.begin(), ranks.end(), predicate);
  };
  Conclusion end;
  end.restarts = record.job.restarts();
  end.attempts_without_progress = record.attempts_without_progress;

  if (any([](const auto& rank) {
        return rank.state() != v1::RANK_STATE_DRAINED || rank.exit_code() != 0;
      }) == ranks.end() &&
      (record.attempt.outcome().empty() || is_preempted(record))) {
    const v1::Finished* said = said_by(finished, 0);
    end.outcome = outcome::kSucceeded;
    end.next = v1::JOB_STATE_SUCCEEDED;
    end.job_reason = said != nullptr && said->global_step() > 0
                         ? fmt::format("finished at step {}", said->global_step())
                         : "finished";
    end.attempt_reason = end.job_reason;
    return end;
  }
  if (record.job.state() == v1::JOB_STATE_STOPPING) {
    conclude_stop(record, end);
    return end;
  }
  if (const auto bad = any([&](const auto& rank) { return is_bad_spec(rank, finished); });
      bad != ranks.end()) {
    end.outcome = outcome::kFailed;
    end.cause = v1::END_CAUSE_USER;
    end.next = v1::JOB_STATE_FAILED;
    end.job_reason = end.attempt_reason = bad_spec_reason(*bad, finished);
    return end;
  }
  const bool progress = record.attempt.resumed_from_checkpoint() != newest_checkpoint;
  if (const v1::Finished* said = roll_back_of(finished)) {
    end.attempts_without_progress = progress ? 0 : record.attempts_without_progress + 1;
    end.pause = back_off(end.attempts_without_progress);
    conclude_roll_back(record, *said, newest_checkpoint, end);
    return end;
  }
  if (const v1::Finished* said = unreadable_of(finished);
      said != nullptr && !record.attempt.resumed_from_checkpoint().empty()) {
    conclude_unreadable(record, *said, newest_checkpoint, end);
    return end;
  }
  const auto lost = any([](const auto& rank) { return rank.state() == v1::RANK_STATE_LOST; });
  if (lost != ranks.end() || record.attempt.outcome() == outcome::kLost) {
    end.outcome = outcome::kLost;
    end.cause = v1::END_CAUSE_INFRASTRUCTURE;
    end.failure = record.failure;
    end.next = v1::JOB_STATE_QUEUED;
    end.attempt_reason = lost != ranks.end() ? lost->message() : record.attempt.reason();
    end.job_reason =
        fmt::format("attempt {} was lost: {}", record.attempt.number(), end.attempt_reason);
    if (!record.passed_over.empty()) end.job_reason += "; " + goes_on_from(newest_checkpoint);
    return end;
  }

  if (is_preempted(record)) {
    end.outcome = outcome::kPreempted;
    end.cause = v1::END_CAUSE_PREEMPTED;
    end.failure = record.failure;
    end.next = v1::JOB_STATE_QUEUED;
    end.attempt_reason = record.attempt.reason();
    end.job_reason = fmt::format("attempt {} was preempted: {}", record.attempt.number(),
                                 record.attempt.reason());
    return end;
  }
  end.attempts_without_progress = progress ? 0 : record.attempts_without_progress + 1;
  end.pause = back_off(end.attempts_without_progress);
  if (record.attempt.outcome() == outcome::kPreempted) {
    end.outcome = outcome::kPreempted;
    end.cause = v1::END_CAUSE_INFRASTRUCTURE;
    end.failure = record.failure;
    end.next = v1::JOB_STATE_QUEUED;
    end.attempt_reason = record.attempt.reason();
    end.job_reason =
        fmt::format("attempt {} goes on: {}", record.attempt.number(), record.attempt.reason());
    return end;
  }
  if (record.attempt.cause() == v1::END_CAUSE_HUNG) {
    // How its rank ended then is our own doing.
    conclude_failure(record, v1::END_CAUSE_HUNG, record.attempt.reason(), end);
  } else if (const v1::RankStatus* culprit = culprit_of(record.attempt)) {
    conclude_failure(record,
                     cause_of_exit(culprit->exit_code(), said_by(finished, culprit->rank())),
                     describe_rank(*culprit, finished), end);
  } else {
    conclude_failure(record, record.attempt.cause(), record.attempt.reason(), end);
  }
  return end;
}

}  // namespace

}  // namespace lctl::jobs
