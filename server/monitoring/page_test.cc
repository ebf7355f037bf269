#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/monitoring/snapshot.h"

namespace lctl::monitoring {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

jobs::ActiveJob running(const std::string& id) {
  jobs::ActiveJob job{.id = JobId{id},
                      .name = "digits \"7\"",
                      .experiment = "digits",
                      .state = v1::JOB_STATE_RUNNING,
                      .attempt = 2,
                      .restarts = 1};
  job.progress.set_global_step(120);
  job.progress.set_epoch(3);
  job.progress.set_steps_per_second(12.5);
  job.progress.set_time_us(1'700'000'000'500'000);
  job.progress.mutable_data_loading()->set_waited_seconds(0.25);
  return job;
}

TEST(ServerMetricsTest, EmptyServerHasEveryFamilyWithoutLabelsThatNobodyHas) {
  const std::string page = server_metrics({.version = "1.2.3"});
  EXPECT_THAT(page, HasSubstr("lctl_server_build_info{version=\"1.2.3\"} 1\n"));
  for (const char* state : {"queued", "starting", "running", "stopping"}) {
    EXPECT_THAT(page, HasSubstr("lctl_jobs{state=\"" + std::string(state) + "\"} 0\n"));
  }
  EXPECT_THAT(page, HasSubstr("lctl_jobs_finished_total{state=\"failed\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("# TYPE lctl_node_devices gauge\n"));
  EXPECT_THAT(page, Not(HasSubstr("lctl_node_devices{")));
  EXPECT_THAT(page, Not(HasSubstr("job_id=")));
}

TEST(ServerMetricsTest, JobsAreCountedAndThoseThatHoldDevicesHaveSeries) {
  Snapshot all;
  all.engine.unfinished = {{v1::JOB_STATE_QUEUED, 4}, {v1::JOB_STATE_RUNNING, 1}};
  all.engine.counts.finished = {{v1::JOB_STATE_FAILED, 2}};
  all.engine.counts.attempts_placed = 7;
  all.engine.counts.requeued = {{v1::END_CAUSE_PREEMPTED, 2}};
  all.engine.counts.preemptions = 1;
  all.engine.counts.hangs = 3;
  all.engine.counts.scheduling_passes = 3;
  all.engine.counts.scheduling_time = std::chrono::milliseconds(1'500);
  all.engine.active = {running("abc")};
  all.engine.active_left_out = 5;
  const std::string page = server_metrics(all);
  EXPECT_THAT(page, HasSubstr("lctl_jobs{state=\"queued\"} 4\n"));
  EXPECT_THAT(page, HasSubstr("lctl_jobs_finished_total{state=\"failed\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("lctl_attempts_placed_total 7\n"));
  EXPECT_THAT(page, HasSubstr("lctl_attempts_requeued_total{cause=\"program\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("lctl_attempts_requeued_total{cause=\"preempted\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("lctl_attempts_requeued_total{cause=\"hung\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("lctl_hangs_total 3\n"));
  EXPECT_THAT(page, HasSubstr("lctl_preemptions_total 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_scheduler_pass_seconds_sum 1.5\n"
                              "lctl_scheduler_pass_seconds_count 3\n"));
  EXPECT_THAT(page, HasSubstr("lctl_job_info{job_id=\"abc\",name=\"digits \\\"7\\\"\","
                              "experiment=\"digits\",state=\"running\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_jobs_without_series 5\n"));
  EXPECT_THAT(page, HasSubstr("lctl_job_attempt{job_id=\"abc\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("lctl_job_global_step{job_id=\"abc\"} 120\n"));
  EXPECT_THAT(page, HasSubstr("lctl_job_steps_per_second{job_id=\"abc\"} 12.5\n"));
  EXPECT_THAT(page, HasSubstr("lctl_job_data_waiting_seconds_total{job_id=\"abc\"} 0.25\n"));
  EXPECT_THAT(page,
              HasSubstr("lctl_job_progress_timestamp_seconds{job_id=\"abc\"} 1700000000.5\n"));
}

TEST(ServerMetricsTest, NodesHaveOneStateAndTheirDevicesByKind) {
  Snapshot all;
  nodes::NodeStatus node;
  node.info.id = NodeId{"n1"};
  node.info.name = "gpu-1";
  node.info.devices = {{0, "cuda"}, {1, "cuda"}, {0, "cpu"}};
  node.info.faults = {{{1, "cuda"}, "Xid 79"}};
  node.state = nodes::NodeState::kSuspect;
  all.nodes = {node};
  all.node_use[NodeId{"n1"}].devices_in_use = 2;
  all.drained = {NodeId{"n1"}};
  const std::string page = server_metrics(all);
  const std::string labels = "node=\"gpu-1\",node_id=\"n1\"";
  EXPECT_THAT(page, HasSubstr("lctl_node_state{" + labels + ",state=\"ready\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("lctl_node_state{" + labels + ",state=\"suspect\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_node_drained{" + labels + "} 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_node_devices{" + labels + ",kind=\"cuda\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("lctl_node_devices_faulty{" + labels + "} 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_node_devices_in_use{" + labels + "} 2\n"));
}

TEST(ServerMetricsTest, IngestStoreAndRequestsAreCounted) {
  Snapshot all;
  all.ingest = {.batches = {10, 1, 2, 3, 4}, .bytes = 500, .events = 20, .points = 60};
  all.store = {.database_bytes = 4096, .commits = 5, .changes = 9, .failed_changes = 1};
  all.garbage = {.passes = 4, .failed_passes = 1, .freed_bytes = 1024};
  all.calls.finished[{"lctl.v1.Jobs/Submit", "OK"}] = 2;
  all.calls.open["lctl.v1.NodeSession/Session"] = 1;
  all.http_routes = {{"GET", "/metrics", {0, 3, 0, 0, 0}}, {"", "", {0, 0, 0, 1, 0}}};
  const std::string page = server_metrics(all);
  EXPECT_THAT(page, HasSubstr("lctl_ingest_batches_total{result=\"ok\"} 10\n"));
  EXPECT_THAT(page, HasSubstr("lctl_ingest_batches_total{result=\"retry\"} 4\n"));
  EXPECT_THAT(page, HasSubstr("lctl_ingest_points_total 60\n"));
  EXPECT_THAT(page, HasSubstr("lctl_store_database_bytes{file=\"main\"} 4096\n"));
  EXPECT_THAT(page, HasSubstr("lctl_store_changes_total{result=\"failed\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_garbage_collection_passes_total{result=\"ok\"} 3\n"));
  EXPECT_THAT(page,
              HasSubstr("lctl_grpc_calls_total{method=\"lctl.v1.Jobs/Submit\",code=\"OK\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("lctl_grpc_open_calls{method=\"lctl.v1.NodeSession/Session\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_http_requests_total{method=\"GET\",route=\"/metrics\","
                              "code=\"2xx\"} 3\n"));
  EXPECT_THAT(page, HasSubstr("lctl_http_requests_total{method=\"\",route=\"\",code=\"4xx\"} 1\n"));
}

}  // namespace
}  // namespace lctl::monitoring
