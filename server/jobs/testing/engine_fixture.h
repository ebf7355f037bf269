// The jobs engine with a real store, and a cluster in memory.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/jobs/engine.h"
#include "server/jobs/testing/fake_cluster.h"
#include "server/jobs/testing/flaky_store.h"
#include "storage/testing/store_fixture.h"

namespace lctl::jobs {

// A server's jobs part with a simulated cluster. Two nodes of two slots, connected.
class EngineTest : public storage::StoreTest {
 protected:
  EngineTest() : flaky_(store()) {
    a_ = cluster_.add_node("a", 2);
    b_ = cluster_.add_node("b", 2);
    start_server();
    connect_all();
  }

  void start_server() {
    auto opened = JobsEngine::open(
        {.clock = clock_,
         .store = flaky_,
         .launcher = cluster_,
         .feed = feed_,
         .return_allowance = std::chrono::seconds(30),
         .quotas = {},
         .preemption = preemption_,
         .verify_checkpoint = [this](const AttemptId& attempt, const CheckpointId& checkpoint) {
           to_verify_.emplace_back(attempt, checkpoint);
         }});
    ASSERT_EQ(storage::text_of(opened.status()), "OK");
    engine_ = *std::move(opened);
    cluster_.attach(engine_.get());
    engine_->settle();
  }
  void restart_server() {
    cluster_.server_down();
    engine_.reset();
    start_server();
  }
  void connect_all() {
    cluster_.connect(a_);
    cluster_.connect(b_);
    engine_->settle();
  }
  void deliver() {
    cluster_.deliver_all();
    engine_->settle();
    cluster_.deliver_all();
    engine_->settle();
  }
  // The store reads what it was asked to, and answers.
  void verify() {
    for (const auto& [attempt, checkpoint] : std::exchange(to_verify_, {})) {
      engine_->checkpoint_verified(attempt, checkpoint, store().checkpoints().verify(checkpoint));
    }
    engine_->settle();
    deliver();
  }
  void advance(Duration by) {
    clock_.advance(by);
    engine_->settle();
  }

  static v1::JobSpec spec(int nodes, int devices) {
    v1::JobSpec spec;
    spec.set_name("digits");
    spec.set_experiment("default");
    spec.set_priority(50);
    spec.set_max_restarts(3);
    spec.set_grace_ms(30'000);
    spec.mutable_resources()->set_nodes(nodes);
    spec.mutable_resources()->set_devices_per_node(devices);
    spec.mutable_resources()->set_accelerator("auto");
    return spec;
  }
  JobId submit(int nodes, int devices, const std::string& key = "") {
    return submit(spec(nodes, devices), key);
  }
  JobId submit(const v1::JobSpec& spec, const std::string& key = "") {
    const auto job = engine_->submit(spec, "me@here", key);
    EXPECT_EQ(storage::text_of(job.status()), "OK");
    engine_->settle();
    return JobId{job->id()};
  }
  v1::Job job(const JobId& id) {
    const auto found = engine_->get(id);
    EXPECT_EQ(storage::text_of(found.status()), "OK");
    return *found;
  }
  v1::JobState state(const JobId& id) { return job(id).state(); }
  std::vector<std::string> history(const JobId& id) {
    std::vector<std::string> states;
    const auto rows = store().jobs().transitions(id);
    for (const v1::Transition& row : *rows) {
      states.emplace_back(name_of(row.to()));
    }
    return states;
  }

  Preemption preemption_;  // from the next start of the server on
  FlakyStore flaky_;
  FakeCluster cluster_;
  JobFeed feed_;
  std::unique_ptr<JobsEngine> engine_;
  NodeId a_, b_;
  std::vector<std::pair<AttemptId, CheckpointId>> to_verify_;
};

}  // namespace lctl::jobs
