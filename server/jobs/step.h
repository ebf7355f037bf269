// The state machine's inside: one application of one event (transitions.h). step.cc has what all
// events need, step_placing.cc what nodes say of the gang, step_faults.cc what goes wrong in it,
// transitions.cc requests and the end.
#pragma once

#include <string>
#include <utility>

#include "server/jobs/transitions.h"
#include "server/jobs/verdict.h"

namespace lctl::jobs {

// Ranks of a broken gang often hang in a collective: they get just enough time to write a
// checkpoint where they still can.
inline constexpr Duration kBrokenGangGrace = std::chrono::seconds(1);

// Pure. Thread rule: caller locks.
class Step {
 public:
  Step(JobRecord& record, Moment now) : record_(record), now_(now) {}

  void on(const Placed& event);
  void on(const RendezvousReady& event);
  void on(const RankReported& event);
  void on(const LaunchFailed& event);
  void on(const NodeLost& event);
  void on(const NodeReturned& event);
  void on(const StopRequested& event);
  void on(const ResumeRequested& event);
  void on(const PreemptRequested& event);
  void on(const LogMatched& event);
  void on(const RankStalled& event);
  void on(const HangDue& event);
  void on(const CheckpointVerified& event);
  void on(const DrillRequested& event);
  void on(const GangOver& event);

  Effects take() { return std::move(effects_); }

 private:
  bool active() const { return is_active(record_.job.state()); }
  v1::RankStatus* rank_on(const NodeId& node, int rank);
  void enter(v1::JobState state, std::string reason);
  void say(std::string reason);
  void condemn(const Verdict& verdict, Duration grace = kBrokenGangGrace);
  void rank_lost(const std::string& reason);
  void arrived_damaged(const LaunchFailed& event, const std::string& node_name);
  void stop_gang(Duration grace, const std::string& reason);
  void ask_for_stacks();
  bool all_have_told() const;
  void condemn_hung();
  void launch(int node_rank);
  void never_started(v1::RankStatus& rank, const std::string& why);
  void check_over();

  JobRecord& record_;
  Moment now_;
  Effects effects_;
};

}  // namespace lctl::jobs
