// The state machine with one job, and short words for what happens to it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/jobs/drill.h"
#include "server/jobs/transitions.h"

namespace lctl::jobs {

inline const NodeId kA{"node-a"};
inline const NodeId kB{"node-b"};

// One job and short words for what happens to it. `last` are the effects of the newest event.
class TransitionsTest : public testing::Test {
 protected:
  TransitionsTest() {
    v1::JobSpec spec;
    spec.set_name("digits");
    spec.set_max_restarts(3);
    spec.set_grace_ms(30'000);
    record = make_job(spec, JobId{"jjjjjjjjjj"}, "me@here", now()).record;
  }

  Moment now() const { return {from_unix_micros(time), MonotonicTime(Duration(time))}; }

  void on(const Event& event) {
    time += 1'000;
    last = apply(record, event, now());
    for (const v1::Transition& row : last.transitions) {
      history.push_back(std::string(name_of(row.to())) + ": " + row.reason());
    }
    owes_end = last.gang_over;
  }

  // `ranks_on` devices on node a, then node b.
  void place(int on_a, int on_b = 0, std::string checkpoint = "", std::int64_t step = 0) {
    Placed placed{
        .resume_checkpoint_id = checkpoint, .resume_checkpoint_size = 9, .resume_step = step};
    placed.nodes.push_back({kA, "a", "10.0.0.1", devices(on_a)});
    if (on_b > 0) placed.nodes.push_back({kB, "b", "10.0.0.2", devices(on_b)});
    on(placed);
  }
  static std::vector<NodeDevice> devices(int count) {
    std::vector<NodeDevice> all;
    for (int i = 0; i < count; ++i) all.push_back({i + 4, "cpu"});
    return all;
  }

  void report(int rank, v1::RankState state, int exit_code = 0, std::string message = "",
              bool lost_with_reboot = false) {
    on(RankReported{NodeId{record.attempt.ranks(rank).node_id()},
                    {.attempt = record.attempt_id(),
                     .rank = rank,
                     .state = state,
                     .pid = 100 + rank,
                     .exit_code = exit_code,
                     .message = std::move(message),
                     .lost_with_reboot = lost_with_reboot}});
  }
  void lease_ran_out(int rank) {
    on(RankReported{NodeId{record.attempt.ranks(rank).node_id()},
                    {.attempt = record.attempt_id(),
                     .rank = rank,
                     .state = v1::RANK_STATE_EXITED,
                     .exit_code = 137,
                     .message = "lease ran out: node has not heard from the server for 120 s",
                     .lease_ran_out = true}});
  }
  void lost_with_reboot(int rank) {
    report(rank, v1::RANK_STATE_EXITED, 137, "lost with a reboot of the node", true);
  }
  void running(int rank) { report(rank, v1::RANK_STATE_RUNNING); }
  void exits(int rank, int code, std::string message = "") {
    report(rank, v1::RANK_STATE_EXITED, code, std::move(message));
  }
  void drains(int rank) {
    report(rank, v1::RANK_STATE_DRAINED, record.attempt.ranks(rank).exit_code());
  }
  // What the engine does when all ranks are over.
  void conclude(std::vector<std::optional<v1::Finished>> finished = {}, std::string newest = "") {
    ASSERT_TRUE(owes_end);
    on(GangOver{std::move(finished), std::move(newest)});
  }
  // A rank on node a and one on node b.
  void start_pair() {
    place(1, 1);
    on(RendezvousReady{kA, 1});
    running(0);
    running(1);
  }
  void start(int ranks) {
    place(ranks);
    for (int i = 0; i < ranks; ++i) running(i);
  }
  void preempt(Duration grace = std::chrono::seconds(300)) {
    on(PreemptRequested{grace, "node a is drained"});
  }
  void matches(int policy, std::string line) { on(LogMatched{kA, 0, policy, std::move(line)}); }
  // Instead of the job that was made: before it is placed.
  void change_spec(const std::function<void(v1::JobSpec&)>& change) {
    v1::JobSpec spec = *record.spec;
    change(spec);
    record.spec = std::make_shared<const v1::JobSpec>(std::move(spec));
  }
  void stop(Duration grace = std::chrono::seconds(30)) {
    on(StopRequested{grace, "stopped by me"});
  }

  v1::JobState state() const { return record.job.state(); }
  const std::string& reason() const { return record.job.reason(); }

  std::vector<std::string> commands() const {
    std::vector<std::string> texts;
    for (const Command& command : last.commands) {
      if (const auto* launch = std::get_if<LaunchCommand>(&command)) {
        texts.push_back("launch " + launch->node.str() + (launch->order.bind ? " bind" : ""));
      } else if (const auto* stop = std::get_if<StopCommand>(&command)) {
        texts.push_back("stop " + stop->node.str() + " " +
                        std::to_string(stop->grace.count() / 1000));
      } else if (const auto* dump = std::get_if<DumpCommand>(&command)) {
        texts.push_back("dump " + dump->node.str());
      } else if (const auto* verify = std::get_if<VerifyCommand>(&command)) {
        texts.push_back("verify " + verify->checkpoint);
      } else if (const auto* fault = std::get_if<FaultCommand>(&command)) {
        texts.push_back("drill " + fault->node.str() + " " + std::string(name_of(fault->fault)));
      } else {
        texts.push_back("forget " + std::get<ForgetCommand>(command).node.str());
      }
    }
    return texts;
  }

  std::int64_t time = 1'000'000;
  JobRecord record;
  Effects last;
  std::vector<std::string> history;
  bool owes_end = false;
};

inline v1::Finished said(v1::Finished::Outcome outcome, std::string message) {
  v1::Finished finished;
  finished.set_outcome(outcome);
  finished.set_message(std::move(message));
  return finished;
}

}  // namespace lctl::jobs
