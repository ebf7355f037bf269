// Random jobs, faults and restarts against the real store: what must hold in every run.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <tuple>

#include "server/jobs/engine.h"
#include "server/jobs/testing/fake_cluster.h"
#include "storage/testing/store_fixture.h"

namespace lctl::jobs {
namespace {

using std::chrono::seconds;

enum class Kind {
  kSubmit,
  kStop,
  kResume,
  kDeliver,
  kSettle,
  kExit,
  kDrain,
  kConnect,
  kDisconnect,
  kLoseNode,
  kFailNextLaunch,
  kRestartServer,
  kAdvance,
  kCheckpoint,
  kMatch,
  kDrainNode,
  kUndrainNode,
};

struct Op {
  Kind kind;
  int pick = 0;   // which job, node, process
  int value = 0;  // exit code, shape, seconds
};

void showValue(const Op& op, std::ostream& out) {
  static constexpr const char* kNames[] = {
      "submit",  "stop",       "resume",     "deliver",    "settle",      "exit",
      "drain",   "connect",    "disconnect", "lose",       "fail_next",   "restart",
      "advance", "checkpoint", "match",      "drain_node", "undrain_node"};
  out << kNames[static_cast<int>(op.kind)] << "(" << op.pick << ", " << op.value << ")";
}

rc::Gen<Op> any_op() {
  return rc::gen::construct<Op>(rc::gen::weightedElement<Kind>({{6, Kind::kSubmit},
                                                                {2, Kind::kStop},
                                                                {2, Kind::kResume},
                                                                {16, Kind::kDeliver},
                                                                {12, Kind::kSettle},
                                                                {8, Kind::kExit},
                                                                {8, Kind::kDrain},
                                                                {6, Kind::kConnect},
                                                                {3, Kind::kDisconnect},
                                                                {2, Kind::kLoseNode},
                                                                {1, Kind::kFailNextLaunch},
                                                                {2, Kind::kRestartServer},
                                                                {4, Kind::kAdvance},
                                                                {2, Kind::kCheckpoint},
                                                                {2, Kind::kMatch},
                                                                {1, Kind::kDrainNode},
                                                                {1, Kind::kUndrainNode}}),
                                rc::gen::resize(100, rc::gen::inRange(0, 1000)),
                                rc::gen::resize(100, rc::gen::inRange(0, 1000)));
}

class Run {
 public:
  Run() {
    cluster_.add_node("a", 3);
    cluster_.add_node("b", 2);
    cluster_.add_node("c", 2);
    start_server();
    for (const NodeId& id : cluster_.node_ids()) cluster_.connect(id);
  }

  void apply(const Op& op) {
    clock_.advance(Duration(1));  // so that the order of submission is no matter of random ids
    switch (op.kind) {
      case Kind::kSubmit:
        return submit(1 + op.pick % 3, 1 + op.value % 3, op.value % 5);
      case Kind::kStop:
        return with_job(op, [&](const JobId& id) {
          static_cast<void>(engine_->stop(
              id, op.value % 2 == 0 ? std::optional<Duration>() : Duration(0), "stopped"));
        });
      case Kind::kResume:
        return with_job(op, [&](const JobId& id) { static_cast<void>(engine_->resume(id)); });
      case Kind::kDeliver:
        static_cast<void>(cluster_.deliver_one());
        return;
      case Kind::kSettle:
        return engine_->settle();
      case Kind::kExit:
        return with_process(op, [&](const NodeId& id, std::size_t i) {
          static constexpr int kCodes[] = {0, 0, 0, 1, 75, 137, 2};
          const bool asked = cluster_.node(id).processes[i].asked_to_stop;
          cluster_.exit(id, i, asked ? 75 : kCodes[op.value % 7]);
        });
      case Kind::kDrain:
        return with_process(op, [&](const NodeId& id, std::size_t i) { cluster_.drain(id, i); });
      case Kind::kConnect:
        return cluster_.connect(pick_node(op));
      case Kind::kDisconnect:
        return cluster_.disconnect(pick_node(op));
      case Kind::kLoseNode:
        if (const NodeId id = pick_node(op); !cluster_.node(id).connected) {
          engine_->node_lost(id, "node " + id.str() + " is lost");
        }
        return;
      case Kind::kFailNextLaunch:
        cluster_.node(pick_node(op)).fails_next_launch = true;
        return;
      case Kind::kRestartServer:
        cluster_.server_down();
        engine_.reset();
        store_.reset();
        return start_server();
      case Kind::kAdvance:
        clock_.advance(seconds(op.value % 20));
        return engine_->settle();
      case Kind::kCheckpoint:
        return with_job(op, [&](const JobId& id) {
          const auto job = store_->jobs().get(id);
          // Fails, as it should, for a job without an attempt.
          static_cast<void>(
              storage::upload(*store_, {.attempt = {id, job->attempt()}, .step = ++step_}));
          engine_->checkpoint_committed(id);
        });
      case Kind::kMatch:
        return with_process(op, [&](const NodeId& id, std::size_t i) {
          cluster_.match(id, i, op.value % 4, "a line");  // the last is of no policy
        });
      case Kind::kDrainNode:
        static_cast<void>(engine_->drain(
            pick_node(op).str(), "", op.value % 2 == 0 ? std::optional<Duration>() : seconds(5)));
        return;
      case Kind::kUndrainNode:
        static_cast<void>(engine_->undrain(pick_node(op).str()));
        return;
    }
  }

  // All nodes are there, all processes end well: everything must come to rest.
  void quiesce() {
    for (const NodeId& id : cluster_.node_ids()) static_cast<void>(engine_->undrain(id.str()));
    for (int i = 0; i < 40; ++i) {
      for (const NodeId& id : cluster_.node_ids()) {
        cluster_.node(id).fails_next_launch = false;
        if (!cluster_.node(id).connected) cluster_.connect(id);
      }
      engine_->settle();
      cluster_.deliver_all();
      engine_->settle();
      cluster_.finish_all();
      cluster_.deliver_all();
      clock_.advance(seconds(61));
      engine_->settle();
    }
  }

  void check_always() {
    made_room_ = made_room_ || engine_->view(0).counts.preemptions > 0;
    for (const std::string& violation : cluster_.violations()) RC_FAIL(violation);
  }

  void check_at_rest() const {
    RC_ASSERT(cluster_.idle());
    for (const JobId& id : jobs_) {
      const v1::Job job = *engine_->get(id);
      RC_ASSERT(!job.reason().empty());
      if (!is_final(job.state())) {
        RC_ASSERT(job.state() == v1::JOB_STATE_QUEUED);
        RC_ASSERT(job.reason().find("it starts when such nodes join") != std::string::npos);
      }
      v1::JobState at = v1::JOB_STATE_UNSPECIFIED;
      const auto rows = store_->jobs().transitions(id);
      for (const v1::Transition& row : *rows) {
        RC_ASSERT(row.from() == at);
        RC_ASSERT(!row.reason().empty());
        at = row.to();
      }
      RC_ASSERT(at == job.state());
      int number = 0;
      const auto attempts = store_->jobs().attempts(id);
      for (const v1::Attempt& attempt : *attempts) {
        RC_ASSERT(attempt.number() == ++number);
        RC_ASSERT(!attempt.outcome().empty());
        RC_ASSERT(
            (attempt.outcome() == outcome::kSucceeded || attempt.outcome() == outcome::kStopped) ==
            (attempt.cause() == v1::END_CAUSE_UNSPECIFIED));
        RC_ASSERT(attempt.finished_us() >= attempt.started_us());
      }
      RC_ASSERT(job.attempt() == number);
      RC_ASSERT(job.restarts() <= 3);
    }
  }

  int attempts() const {
    int count = 0;
    for (const JobId& id : jobs_) count += engine_->get(id)->attempt();
    return count;
  }
  bool somebody_made_room() const { return made_room_; }
  bool somebody_grew() const {
    for (const JobId& id : jobs_) {
      const auto attempts = store_->jobs().attempts(id);
      for (const v1::Attempt& attempt : *attempts) {
        if (attempt.reason().starts_with("grows from")) return true;
      }
    }
    return false;
  }

 private:
  void start_server() {
    if (store_ == nullptr) {
      auto store = storage::Store::open({.dir = folder_.path(), .clock = clock_});
      RC_ASSERT(store.ok());
      store_ = *std::move(store);
    }
    auto engine = JobsEngine::open({.clock = clock_,
                                    .store = *store_,
                                    .launcher = cluster_,
                                    .feed = feed_,
                                    .quotas = {},
                                    .preemption = {.by_priority = true, .minimum_run = seconds(10)},
                                    .growth = {.minimum_run = seconds(10)}});
    RC_ASSERT(engine.ok());
    engine_ = *std::move(engine);
    cluster_.attach(engine_.get());
  }

  void submit(int nodes, int devices, int priority) {
    v1::JobSpec spec;
    spec.set_name("j");
    spec.set_experiment("default");
    spec.set_priority(priority);
    spec.set_never_preempt(priority == 1);
    for (const auto action : {v1::LogPolicy::ACTION_EXCLUDE_NODE,
                              v1::LogPolicy::ACTION_CANCEL_RETRIES, v1::LogPolicy::ACTION_LABEL}) {
      v1::LogPolicy& policy = *spec.add_log_policies();
      policy.set_action(action);
      policy.set_label("l");
    }
    spec.set_max_restarts(3);
    spec.mutable_resources()->set_nodes(nodes);
    spec.mutable_resources()->set_devices_per_node(devices);
    if (nodes > 1 && priority != 2) {
      spec.mutable_elastic()->set_max_nodes(nodes);
      spec.mutable_elastic()->add_node_counts(nodes);
      spec.mutable_elastic()->add_node_counts(1);
    }
    const auto job = engine_->submit(spec, "me@here", "");
    RC_ASSERT(job.ok());
    jobs_.emplace_back(job->id());
  }

  template <typename Body>
  void with_job(const Op& op, Body body) {
    if (!jobs_.empty()) body(jobs_[static_cast<std::size_t>(op.pick) % jobs_.size()]);
  }
  NodeId pick_node(const Op& op) const {
    const auto ids = cluster_.node_ids();
    return ids[static_cast<std::size_t>(op.pick) % ids.size()];
  }
  template <typename Body>
  void with_process(const Op& op, Body body) {
    const NodeId id = pick_node(op);
    const std::size_t count = cluster_.node(id).processes.size();
    if (count > 0) body(id, static_cast<std::size_t>(op.value) % count);
  }

  storage::TempFolder folder_;
  storage::ManualClock clock_;
  JobFeed feed_;
  std::unique_ptr<storage::Store> store_;
  FakeCluster cluster_;
  std::unique_ptr<JobsEngine> engine_;
  std::vector<JobId> jobs_;
  std::int64_t step_ = 0;
  bool made_room_ = false;
};

RC_GTEST_PROP(EnginePropertyTest, NoJobRunsTwiceAtOnceAndEveryJobEndsOrSaysWhyItWaits, ()) {
  const auto ops = *rc::gen::resize(150, rc::gen::container<std::vector<Op>>(any_op()));
  Run run;
  for (const Op& op : ops) {
    run.apply(op);
    run.check_always();
  }
  run.quiesce();
  run.check_always();
  run.check_at_rest();
  RC_CLASSIFY(run.attempts() >= 3, "three or more attempts");
  RC_CLASSIFY(run.somebody_made_room(), "a gang made room for a job");
  RC_CLASSIFY(run.somebody_grew(), "a gang grew");
}

}  // namespace
}  // namespace lctl::jobs
