// What must hold whatever happens. It is told of every step from the place where it really takes
// place (the store's commit, a process on a node, an acknowledgement's arrival), so no program's
// own belief is asked.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "base/id.h"
#include "proto/lctl/v1/job.pb.h"
#include "storage/jobs/job_store.h"
#include "storage/metrics/event_store.h"
#include "storage/store.h"

namespace lctl::simulation {

// Thread rule: caller locks.
class Invariants {
 public:
  // --- the store has committed ---

  void created(const v1::Job& job, const v1::JobSpec& spec);
  void recorded(std::span<const storage::JobChange> changes);
  void stored_checkpoint(const AttemptId& attempt, const std::string& file);

  // --- the server has answered ---

  void promised(const JobId& job);  // to a client
  void took_in(const storage::StreamKey& stream);

  // --- on nodes ---

  void process_started(const NodeId& node, int device, const AttemptId& attempt, int rank);
  void process_ended(const AttemptId& attempt, int rank);
  // All that the rank has written so far: metric events of (offset, step), and bytes of output.
  struct Written {
    std::vector<std::pair<std::uint64_t, std::int64_t>> points;  // end offset, step
    std::uint64_t events_end = 0;
    std::string output;
  };
  Written& written(const AttemptId& attempt, int rank) { return written_[{attempt, rank}]; }
  void acknowledged(const storage::StreamKey& stream, std::uint64_t offset);

  void violated(std::string what);
  const std::vector<std::string>& violations() const { return violations_; }

  // --- when the faults are over and all has come to rest ---

  void check_at_rest(storage::Store& store);

  int attempts() const;  // of all jobs

  // "steps" of the job's environment: what its model trains.
  static std::int64_t steps_of(const v1::JobSpec& spec);
  static double value_at(std::int64_t step) { return static_cast<double>(step) + 0.5; }

 private:
  struct Process {
    NodeId node;
    int device = 0;
    AttemptId attempt;
    int rank = 0;
  };
  struct Known {
    v1::JobSpec spec;
    v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
    std::map<AttemptNumber, v1::Attempt> attempts;
    AttemptNumber newest() const { return attempts.empty() ? 0 : attempts.rbegin()->first; }
  };

  void check_gang(const v1::Attempt& attempt, const Known& job, const std::string& name);
  bool given_up(const AttemptId& attempt, int rank) const;
  void check_job(storage::Store& store, const JobId& id, const Known& job);
  void check_history(storage::Store& store, const v1::Job& job);
  void check_streams(storage::Store& store, const JobId& id, const Known& job);
  void check_output(storage::Store& store, const JobId& id);
  void check_curve(storage::Store& store, const JobId& id, const Known& job);

  std::map<JobId, Known> jobs_;
  std::vector<Process> running_;
  std::map<std::pair<AttemptId, int>, Written> written_;
  std::map<storage::StreamKey, std::uint64_t> acknowledged_;
  std::set<std::pair<AttemptId, std::string>> checkpoints_;
  std::vector<std::string> violations_;
};

}  // namespace lctl::simulation
