// How an attempt failed: whose fault it is, and whether it is what happened to the attempt before.
// Pure; part of the state machine.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "proto/lctl/v1/event.pb.h"
#include "proto/lctl/v1/job.pb.h"

namespace lctl::jobs {

// Whose fault the end of a rank is that nobody asked for. `said` is its trainer's last event;
// nullptr = it wrote none.
//
// The user's: exit code 2, Finished{BAD_SPEC}. Infrastructure's: SIGKILL and SIGBUS without a last
// word (the kernel short of memory, a bad disk or module), exit code 75 (interrupted on its node).
// The program's: all else. Nobody's: exit code 0.
v1::EndCause cause_of_exit(int exit_code, const v1::Finished* said);

// What of a failed attempt is compared with the next one.
struct Failure {
  int attempt = 0;
  v1::EndCause cause = v1::END_CAUSE_UNSPECIFIED;
  int exit_code = 0;       // of the rank whose end gave the verdict; 0 = there is none
  std::string words;       // the reason with every number replaced by '#'
  bool explained = false;  // the rank said, or its node saw, why it ended
  std::int64_t step = 0;   // that it had reached
  Duration lasted{};
};

// Of an attempt that failed and has its reason, cause, culprit and times.
Failure failure_of(const v1::Attempt& attempt);

// Of the newest attempt that failed; those that were lost, rolled back or made room say nothing.
// nullopt: none, or others have ended otherwise since.
std::optional<Failure> newest_failure(std::span<const v1::Attempt> attempts);

// "step 1,200: out of range" and "step 7: out of range" are the same words.
std::string without_numbers(std::string_view text);

// Why trying again is of no use after `before` and then `now`; "" = it may be. Both attempts left
// no newer checkpoint when `without_progress`.
//
// A crash loop: the program ended twice with the same code and words, within two minutes each, and
// left no checkpoint. Want of memory: a rank was killed twice at about the same step.
std::string why_not_again(const Failure& before, const Failure& now, bool without_progress);

}  // namespace lctl::jobs
