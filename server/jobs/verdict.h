// How an attempt ended, in words and in consequences. Pure; part of the state machine.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "proto/lctl/v1/event.pb.h"
#include "proto/lctl/v1/job.pb.h"
#include "server/jobs/job_record.h"

namespace lctl::jobs {

// What is said of a kill that nobody explains.
inline constexpr std::string_view kMemoryGuess = ", perhaps for want of memory";

struct Verdict {
  std::string_view outcome;  // namespace outcome
  v1::EndCause cause = v1::END_CAUSE_UNSPECIFIED;
  std::string reason;
};

// What the end of one rank with a non-zero exit code, that nobody asked for, means for its attempt.
Verdict verdict_of_exit(const v1::RankStatus& rank);

// What becomes of a job when all ranks of its attempt are over.
struct Conclusion {
  std::string_view outcome;  // of the attempt
  v1::EndCause cause = v1::END_CAUSE_UNSPECIFIED;
  std::string attempt_reason;
  v1::JobState next = v1::JOB_STATE_UNSPECIFIED;
  std::string job_reason;
  int restarts = 0;  // Job.restarts from now on
  int attempts_without_progress = 0;
  Duration pause{};                       // before the next attempt
  std::optional<Failure> failure;         // to compare the next one with
  std::optional<v1::Finished> roll_back;  // what the next attempt does differently
  bool unreadable = false;                // the attempt could not read its checkpoint
};

// `finished` by rank, where the trainer said why it ended; may be shorter than the gang.
//
// The record's attempt has its end: finished_us and ended_at_step.
//
// In this order: a job that was asked to stop is STOPPED (SUCCEEDED when every rank had finished);
// a bad specification is FAILED whatever restarts remain; a lost rank puts the job back without
// counting, also when other ranks failed first: the end of one node makes the collectives of the
// others fail before its heartbeats are missed; then the verdict that stopped the gang. Before the
// loss of a rank goes what a rank said that wants training rolled back (the others' collectives
// fail with it), as often as it allows, or that could not read its checkpoint: both put the job
// back without counting. A failure is the last one when no restart is left, when a log policy says
// so, or when trying again is of no use (failure.h).
Conclusion conclude(const JobRecord& record, std::span<const std::optional<v1::Finished>> finished,
                    std::string_view newest_checkpoint);

}  // namespace lctl::jobs
