#include "worker/agent/metrics_page.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::agent {
namespace {

using ::testing::HasSubstr;

TEST(WorkerMetricsTest, PageTellsRanksAndWhatIsOnItsWay) {
  WorkerSnapshot snapshot{.version = "1.2.3", .started = from_unix_micros(5'000'000)};
  snapshot.devices = {{"cpu", 4}, {"cuda", 2}};
  snapshot.agent.ranks = {{v1::RANK_STATE_RUNNING, 3}};
  snapshot.agent.uploads = 1;
  snapshot.agent.session = {.registered = true, .registrations = 2, .failures = 7};
  snapshot.agent.forwarding = {.forwarded_bytes = 100, .waiting_bytes = 20, .failures = 4};
  const std::string page = worker_metrics(snapshot);
  EXPECT_THAT(page, HasSubstr("lctl_worker_build_info{version=\"1.2.3\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_worker_start_time_seconds 5\n"));
  EXPECT_THAT(page, HasSubstr("lctl_worker_devices{kind=\"cuda\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("lctl_worker_ranks{state=\"launching\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("lctl_worker_ranks{state=\"running\"} 3\n"));
  EXPECT_THAT(page, HasSubstr("lctl_worker_uploads 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_worker_spool_waiting_bytes 20\n"));
  EXPECT_THAT(page, HasSubstr("lctl_worker_forwarded_bytes_total 100\n"));
  EXPECT_THAT(page, HasSubstr("lctl_worker_connected 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_worker_registrations_total 2\n"));
  EXPECT_THAT(page, HasSubstr("lctl_worker_stream_failures_total{stream=\"session\"} 7\n"));
  EXPECT_THAT(page, HasSubstr("lctl_worker_stream_failures_total{stream=\"ingest\"} 4\n"));
}

}  // namespace
}  // namespace lctl::agent
