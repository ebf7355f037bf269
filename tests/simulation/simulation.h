// One schedule: a server, some nodes, a network and people, with faults at moments that the seed
// chooses; then the faults stop and everything must come to rest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/bug.h"
#include "tests/simulation/event_queue.h"
#include "tests/simulation/invariants.h"
#include "tests/simulation/random.h"
#include "tests/simulation/simulated_node.h"
#include "tests/simulation/simulated_server.h"
#include "tests/simulation/trace.h"
#include "tests/simulation/transport.h"

namespace lctl::simulation {

struct Outcome {
  std::vector<std::string> violations;  // none = all held
  std::uint64_t trace_hash = 0;         // of everything that happened
  std::vector<std::string> trace;       // in words, when asked for
  std::size_t jobs = 0;
  int attempts = 0;
  int faults = 0;
  int server_crashes = 0;
  bool preempted = false;  // a gang made room
  Duration simulated{};
};

// Runs the schedule of that seed. `folder` is empty or holds a migrated store without jobs.
Outcome run_schedule(std::uint64_t seed, const std::filesystem::path& folder, Bug bug,
                     bool keep_trace);

// Thread rule: caller locks.
class Simulation {
 public:
  Simulation(std::uint64_t seed, const std::filesystem::path& folder, Bug bug, bool keep_trace);
  Outcome run();

 private:
  void start_server_later();
  void plan_people();
  void plan_faults();
  void submit_job();
  void call_submit(const v1::JobSpec& spec, const std::string& key);
  void ask_something();
  void break_something();
  void fault(const std::string& what);
  void mend_everything();
  bool undrain_some();
  bool is_at_rest();
  Fate draw_fate(std::int64_t steps);

  EventQueue queue_;
  Random random_;
  Trace trace_;
  Transport transport_;
  Invariants invariants_;
  Rendezvous rendezvous_;
  std::unique_ptr<SimulatedServer> server_;
  std::vector<std::unique_ptr<SimulatedNode>> nodes_;
  std::vector<JobId> jobs_;  // whose submitters have an answer
  int wanted_jobs_ = 0;
  int waiting_submitters_ = 0;
  bool mended_ = false;
  int faults_ = 0;
  int server_crashes_ = 0;
};

}  // namespace lctl::simulation
