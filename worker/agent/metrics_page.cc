#include "worker/agent/metrics_page.h"

#include <chrono>
#include <string_view>
#include <utility>

#include "http/prometheus/exposition.h"

namespace lctl::agent {

using prometheus::Exposition;
using prometheus::Family;
using prometheus::Type;

std::string worker_metrics(const WorkerSnapshot& snapshot) {
  Exposition page;
  const AgentView& agent = snapshot.agent;
  page.family("lctl_worker_build_info", Type::kGauge, "The worker's version; always 1.")
      .sample({{"version", snapshot.version}}, 1);
  page.family("lctl_worker_start_time_seconds", Type::kGauge, "When the worker started, Unix time.")
      .sample({}, std::chrono::duration<double>(snapshot.started.time_since_epoch()).count());
  Family devices =
      page.family("lctl_worker_devices", Type::kGauge, "Devices that this node offers, by kind.");
  for (const auto& [kind, count] : snapshot.devices) devices.sample({{"kind", kind}}, count);

  Family ranks =
      page.family("lctl_worker_ranks", Type::kGauge, "Ranks that this node answers for, by state.");
  constexpr std::pair<v1::RankState, std::string_view> kStates[] = {
      {v1::RANK_STATE_LAUNCHING, "launching"},
      {v1::RANK_STATE_RUNNING, "running"},
      {v1::RANK_STATE_EXITED, "exited"},
      {v1::RANK_STATE_DRAINED, "drained"}};
  for (const auto& [state, label] : kStates) {
    const auto found = agent.ranks.find(state);
    ranks.sample({{"state", label}}, found == agent.ranks.end() ? 0 : found->second);
  }
  page.family("lctl_worker_uploads", Type::kGauge, "Checkpoints on their way to the server.")
      .sample({}, agent.uploads);

  page.family("lctl_worker_spool_waiting_bytes", Type::kGauge,
              "Bytes that ranks wrote and the server has not acknowledged.")
      .sample({}, agent.forwarding.waiting_bytes);
  page.family("lctl_worker_forwarded_bytes_total", Type::kCounter,
              "Bytes of events and console output that the server acknowledged.")
      .sample({}, agent.forwarding.forwarded_bytes);
  page.family("lctl_worker_connected", Type::kGauge,
              "1 while this node is registered with the server.")
      .sample({}, agent.session.registered ? 1 : 0);
  page.family("lctl_worker_registrations_total", Type::kCounter,
              "Registrations with the server; all beyond the first are reconnections.")
      .sample({}, agent.session.registrations);
  Family failures = page.family("lctl_worker_stream_failures_total", Type::kCounter,
                                "Streams to the server that broke or could not be opened.");
  failures.sample({{"stream", "session"}}, agent.session.failures);
  failures.sample({{"stream", "ingest"}}, agent.forwarding.failures);
  return page.text();
}

}  // namespace lctl::agent
