#include "tests/simulation/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/jobs/job_record.h"
#include "tests/simulation/seeded_ids.h"

namespace lctl::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What no people's or node's fault can stretch: the longest back-off of a job is a minute, and a
// node counts as lost 30 s after a server's start at the latest.
constexpr Duration kRestsWithin = seconds(600);
constexpr Duration kLooksEvery = seconds(1);

// People submit and ask, and things break, in the first seconds; their calls are over soon after.
constexpr Duration kBusy = seconds(25);
constexpr Duration kLastCall = kBusy + seconds(12);

}  // namespace

Outcome run_schedule(std::uint64_t seed, const std::filesystem::path& folder, Bug bug,
                     bool keep_trace) {
  seed_ids(seed);
  return Simulation(seed, folder, bug, keep_trace).run();
}

Simulation::Simulation(std::uint64_t seed, const std::filesystem::path& folder, Bug bug,
                       bool keep_trace)
    : random_(seed), trace_(keep_trace), transport_(queue_, random_, trace_) {
  server_ = std::make_unique<SimulatedServer>(SimulatedServer::Options{.queue = queue_,
                                                                       .random = random_,
                                                                       .trace = trace_,
                                                                       .transport = transport_,
                                                                       .invariants = invariants_,
                                                                       .folder = folder,
                                                                       .bug = bug,
                                                                       .on_crash = [this] {
                                                                         ++server_crashes_;
                                                                         start_server_later();
                                                                       }});
  const int nodes = random_.between(1, 3);
  for (int i = 0; i < nodes; ++i) {
    nodes_.push_back(std::make_unique<SimulatedNode>(SimulatedNode::Options{
        .queue = queue_,
        .random = random_,
        .trace = trace_,
        .transport = transport_,
        .invariants = invariants_,
        .rendezvous = rendezvous_,
        .number = static_cast<std::size_t>(i),
        .name = std::string(1, static_cast<char>('a' + i)),
        .devices = random_.between(1, 3),
        .bug = bug,
        .draw_fate = [this](std::int64_t steps) { return draw_fate(steps); }}));
    transport_.add_node(*nodes_.back());
  }
}

Fate Simulation::draw_fate(std::int64_t steps) {
  Fate fate;
  if (mended_) return fate;
  fate.hangs_on_stop = random_.one_in(10);
  fate.hangs_when_broken = random_.one_in(4);
  if (!random_.one_in(4)) return fate;
  static constexpr int kCodes[] = {1, 1, 1, 75, 137, 139, 2};
  fate.exit_code = kCodes[random_.below(std::size(kCodes))];
  fate.at_step = static_cast<std::int64_t>(random_.below(static_cast<std::size_t>(steps)));
  return fate;
}

void Simulation::start_server_later() {
  queue_.after(random_.between(milliseconds(50), mended_ ? seconds(1) : seconds(15)), [this] {
    if (!server_->is_up()) server_->start();
  });
}

// --- people ---

void Simulation::plan_people() {
  wanted_jobs_ = random_.between(1, 4);
  for (int i = 0; i < wanted_jobs_; ++i) {
    queue_.after(random_.between(milliseconds(1), kBusy / 2), [this] { submit_job(); });
  }
  const int requests = random_.between(0, 4);
  for (int i = 0; i < requests; ++i) {
    queue_.after(random_.between(seconds(1), kBusy), [this] { ask_something(); });
  }
}

void Simulation::submit_job() {
  v1::JobSpec spec;
  spec.set_name("job");
  spec.set_experiment("default");
  spec.set_priority(50 + random_.between(0, 2));
  spec.set_max_restarts(3);
  spec.set_grace_ms(random_.between(500, 5000));
  spec.set_retry_crash_loops(random_.one_in(2));
  spec.set_never_preempt(random_.one_in(4));
  spec.set_restart_from(static_cast<v1::RestartFrom>(random_.one_in(6) ? v1::RESTART_FROM_NONE
                                                                       : v1::RESTART_FROM_LAST));
  spec.mutable_retention()->set_keep_last(2);
  spec.mutable_resources()->set_nodes(random_.between(1, 2));
  spec.mutable_resources()->set_devices_per_node(random_.between(1, 2));
  spec.mutable_resources()->set_accelerator("auto");
  for (const auto action : {v1::LogPolicy::ACTION_EXCLUDE_NODE,
                            v1::LogPolicy::ACTION_CANCEL_RETRIES, v1::LogPolicy::ACTION_LABEL}) {
    v1::LogPolicy& policy = *spec.add_log_policies();
    policy.set_action(action);
    policy.set_label("seen");
  }
  (*spec.mutable_environment())["steps"] = std::to_string(random_.between(2, 7));
  ++waiting_submitters_;
  call_submit(spec, fmt::format("key-{}", random_.below(1'000'000'000)));
}

// Clients call over the first node's network, and call again with the same key until they know.
void Simulation::call_submit(const v1::JobSpec& spec, const std::string& key) {
  transport_.call<JobId>(
      0, "submit", [spec, key](SimulatedServer& server) { return server.submit(spec, key); },
      [this, spec, key](absl::StatusOr<JobId> id) {
        if (!id.ok()) {
          queue_.after(seconds(1), [this, spec, key] { call_submit(spec, key); });
          return;
        }
        invariants_.promised(*id);
        --waiting_submitters_;
        if (std::find(jobs_.begin(), jobs_.end(), *id) == jobs_.end()) jobs_.push_back(*id);
      });
}

void Simulation::ask_something() {
  const std::string node = random_.pick(nodes_)->id().str();
  const std::size_t kind = random_.below(4);
  if (kind < 2 && jobs_.empty()) return;
  const JobId job = kind < 2 ? random_.pick(jobs_) : JobId();
  const std::optional<Duration> grace =
      random_.one_in(3) ? std::optional<Duration>(Duration(0)) : std::nullopt;
  static constexpr const char* kNames[] = {"stop", "resume", "drain", "undrain"};
  transport_.call<bool>(
      0, fmt::format("{} {}", kNames[kind], kind < 2 ? job.str() : node),
      [kind, job, node, grace](SimulatedServer& server) -> absl::StatusOr<bool> {
        absl::Status status;
        if (kind == 0) status = server.stop(job, grace);
        if (kind == 1) status = server.resume(job);
        if (kind == 2) status = server.drain(node, grace);
        if (kind == 3) status = server.undrain(node);
        if (!status.ok()) return status;
        return true;
      },
      [](const absl::StatusOr<bool>&) {});
  if (kind == 0 && random_.one_in(2)) {
    queue_.after(random_.between(seconds(1), seconds(5)), [this, job] {
      transport_.call<bool>(
          0, "resume " + job.str(),
          [job](SimulatedServer& server) -> absl::StatusOr<bool> {
            return server.resume(job).ok();
          },
          [](const absl::StatusOr<bool>&) {});
    });
  }
}

// --- faults ---

void Simulation::plan_faults() {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Weather& weather = transport_.weather(i);
    weather.lost = random_.one_in(2) ? 0 : random_.between(1, 20);
    weather.doubled = random_.one_in(2) ? 0 : random_.between(1, 100);
    weather.slowest =
        random_.between(milliseconds(1), random_.one_in(3) ? seconds(1) : milliseconds(50));
  }
  const int faults = random_.between(0, 8);
  for (int i = 0; i < faults; ++i) {
    queue_.after(random_.between(milliseconds(1), kBusy), [this] { break_something(); });
  }
}

void Simulation::fault(const std::string& what) {
  ++faults_;
  trace_.add(queue_.elapsed(), "fault: " + what);
}

void Simulation::break_something() {
  if (mended_) return;
  SimulatedNode& node = *random_.pick(nodes_);
  const std::size_t number = static_cast<std::size_t>(node.id().str().back() - 'a');
  switch (random_.below(9)) {
    case 0:
    case 1:
      fault("the server crashes a few steps from now");
      return server_->crash_after(random_.between(1, 25));
    case 2:
      fault("an agent crashes");
      node.crash_agent();
      queue_.after(random_.between(milliseconds(10), seconds(15)), [&node] { node.start_agent(); });
      return;
    case 3:
      fault("a machine goes down");
      node.power_off();
      queue_.after(random_.between(seconds(1), seconds(20)), [&node] { node.start_agent(); });
      return;
    case 4: {
      const Duration length = random_.between(milliseconds(100), seconds(25));
      fault(fmt::format("node {} is cut off for {} ms", number, length.count() / 1000));
      MonotonicTime& until = transport_.weather(number).held_until;
      until = std::max(until, queue_.monotonic_now() + length);
      if (length > seconds(10)) {  // longer than the ends have patience
        queue_.after(seconds(10), [this, number] { transport_.reset(number); });
      }
      return;
    }
    case 5:
      fault(fmt::format("the streams of node {} break", number));
      return transport_.reset(number);
    case 6:
      fault("a rank is killed");
      return node.kill_some_rank();
    case 7:
      fault("launches fail");
      node.fail_launches(true);
      queue_.after(random_.between(seconds(1), seconds(10)),
                   [&node] { node.fail_launches(false); });
      return;
    case 8:
      fault("the server's clock is set");
      queue_.jump_wall_clock(random_.between(-seconds(3600), seconds(3600)));
      if (random_.one_in(2)) node.match_some_rank(random_.between(0, 3));
      return;
  }
}

void Simulation::mend_everything() {
  mended_ = true;
  trace_.add(queue_.elapsed(), "the faults are over");
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    // A partition ends in its own time: what it holds must not be overtaken on its stream.
    transport_.weather(i) = {.held_until = transport_.weather(i).held_until};
    nodes_[i]->fail_launches(false);
    nodes_[i]->start_agent();
  }
  server_->crash_after(-1);
  if (!server_->is_up()) start_server_later();
}

// False when there is none left.
bool Simulation::undrain_some() {
  if (!server_->is_up()) return true;
  bool found = false;
  for (const std::string& node : server_->drained()) {
    found = true;
    static_cast<void>(server_->undrain(node));
  }
  return found;
}

bool Simulation::is_at_rest() {
  if (!server_->is_up() || waiting_submitters_ > 0) return false;
  for (const auto& node : nodes_) {
    if (!node->is_idle()) return false;
  }
  return server_->all_at_rest(jobs_);
}

Outcome Simulation::run() {
  server_->start();
  for (const auto& node : nodes_) {
    queue_.after(random_.between(milliseconds(1), seconds(2)), [&node] { node->start_agent(); });
  }
  plan_people();
  plan_faults();
  const Duration mend_at = random_.between(kBusy / 2, kBusy + seconds(5));
  while (queue_.run_next(mend_at) && invariants_.violations().empty()) {
  }
  mend_everything();
  const Duration end = queue_.elapsed() + kRestsWithin;
  Duration look = kLastCall;
  bool rests = false;
  while (!rests && look < end && invariants_.violations().empty()) {
    while (queue_.run_next(look) && invariants_.violations().empty()) {
    }
    rests = !undrain_some() && is_at_rest();
    look += kLooksEvery;
  }
  if (invariants_.violations().empty()) {
    if (!rests) invariants_.violated("not everything came to rest in time");
    if (server_->is_up()) invariants_.check_at_rest(server_->store());
  }
  Outcome outcome{.violations = invariants_.violations(),
                  .trace_hash = trace_.hash(),
                  .trace = trace_.lines(),
                  .jobs = jobs_.size(),
                  .faults = faults_,
                  .server_crashes = server_crashes_,
                  .preempted = server_->has_preempted(),
                  .simulated = queue_.elapsed()};
  outcome.attempts = invariants_.attempts();
  return outcome;
}

}  // namespace lctl::simulation
