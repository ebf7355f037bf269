#include "server/jobs/verdict.h"

#include <fmt/format.h>

#include <algorithm>

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
  if (rank.exit_code() == 128 + 9) text += ", perhaps for want of memory";
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

void conclude_failure(const JobRecord& record, std::string cause, Conclusion& end) {
  const int allowed = record.spec->max_restarts();
  end.outcome = outcome::kFailed;
  end.attempt_reason = cause;
  if (record.job.restarts() >= allowed) {
    end.next = v1::JOB_STATE_FAILED;
    end.job_reason = allowed == 0 ? std::move(cause)
                                  : fmt::format("{}; all {} restarts are used", cause, allowed);
    return;
  }
  end.next = v1::JOB_STATE_QUEUED;
  end.restarts = record.job.restarts() + 1;
  end.job_reason = fmt::format("attempt {} failed, restart {} of {}: {}", record.attempt.number(),
                               end.restarts, allowed, cause);
}

}  // namespace

Verdict verdict_of_exit(const v1::RankStatus& rank) {
  if (rank.exit_code() == kExitStopped) {
    return {outcome::kPreempted,
            fmt::format("rank {} was interrupted on its node (exit code {} without a stop request)",
                        rank.rank(), kExitStopped)};
  }
  return {outcome::kFailed, describe_rank(rank, {})};
}

Conclusion conclude(const JobRecord& record, FinishedByRank finished,
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
      record.attempt.outcome().empty()) {
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
    end.next = v1::JOB_STATE_FAILED;
    end.job_reason = end.attempt_reason = bad_spec_reason(*bad, finished);
    return end;
  }
  const auto lost = any([](const auto& rank) { return rank.state() == v1::RANK_STATE_LOST; });
  if (lost != ranks.end() || record.attempt.outcome() == outcome::kLost) {
    end.outcome = outcome::kLost;
    end.next = v1::JOB_STATE_QUEUED;
    end.attempt_reason = lost != ranks.end() ? lost->message() : record.attempt.reason();
    end.job_reason =
        fmt::format("attempt {} was lost: {}", record.attempt.number(), end.attempt_reason);
    return end;
  }

  const bool progress = record.attempt.resumed_from_checkpoint() != newest_checkpoint;
  end.attempts_without_progress = progress ? 0 : record.attempts_without_progress + 1;
  end.pause = back_off(end.attempts_without_progress);
  if (record.attempt.outcome() == outcome::kPreempted) {
    end.outcome = outcome::kPreempted;
    end.next = v1::JOB_STATE_QUEUED;
    end.attempt_reason = record.attempt.reason();
    end.job_reason =
        fmt::format("attempt {} goes on: {}", record.attempt.number(), record.attempt.reason());
    return end;
  }
  const bool exited = record.culprit >= 0 && ranks[record.culprit].exit_code() != 0;
  conclude_failure(record,
                   exited ? describe_rank(ranks[record.culprit], finished)
                          : std::string(record.attempt.reason()),
                   end);
  return end;
}

}  // namespace lctl::jobs
