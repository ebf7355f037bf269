// How the jobs engine is doing, as values: for monitoring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "proto/lctl/v1/job.pb.h"

namespace lctl::jobs {

// Since the engine was opened.
struct EngineCounts {
  std::map<v1::JobState, std::uint64_t> finished;  // entries into a final state
  std::uint64_t attempts_placed = 0;
  std::map<v1::EndCause, std::uint64_t> requeued;  // attempts that ended, and go on in another
  std::uint64_t hangs = 0;                         // gangs of which a rank was found hung
  std::uint64_t preemptions = 0;                   // gangs that were asked to make room for a job
  std::uint64_t scheduling_passes = 0;             // in which at least one job was waiting
  Duration scheduling_time{0};                     // of them together
};

// A job that holds devices.
struct ActiveJob {
  JobId id;
  std::string name;
  std::string experiment;
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  int attempt = 0;
  int restarts = 0;
  v1::Progress progress;  // empty until its rank 0 has told some, also after a server start
};

struct EngineView {
  EngineCounts counts;
  bool store_fails = false;                // changes wait for a store that cannot commit
  std::map<v1::JobState, int> unfinished;  // jobs by state
  std::vector<ActiveJob> active;
  std::size_t active_left_out = 0;  // there were more than was asked for
};

}  // namespace lctl::jobs
