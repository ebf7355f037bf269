// Which rank of a gang that gets nowhere is at fault, and how to say so. Pure; part of the state
// machine.
#pragma once

#include <map>
#include <string>

#include "proto/lctl/v1/job.pb.h"
#include "server/jobs/launcher.h"

namespace lctl::jobs {

struct HangFinding {
  int culprit = -1;    // -1 = it cannot be told from what they said
  std::string reason;  // one line for people
};

// `told`: what each rank's node has said last; at least one of them has stalled.
//
// At fault is who has begun the fewest collectives, since the others wait for it in the next one;
// of several such, or when all have begun as many, one whose process is stopped or waits in the
// kernel; else the only rank, or the only one that has stalled.
HangFinding find_hang(const std::map<int, RankStall>& told, const v1::Attempt& attempt,
                      const std::string& job);

}  // namespace lctl::jobs
