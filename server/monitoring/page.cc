// The families of the server's /metrics page, in the order of docs/monitoring.md.
#include <fmt/format.h>

#include <array>
#include <string_view>

#include "http/prometheus/exposition.h"
#include "server/monitoring/snapshot.h"

namespace lctl::monitoring {
namespace {

using prometheus::Exposition;
using prometheus::Family;
using prometheus::Type;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }
double unix_seconds(WallTime time) { return seconds(time.time_since_epoch()); }
double unix_seconds(std::int64_t micros) { return unix_seconds(from_unix_micros(micros)); }

// "queued", …: as a label.
std::string_view label_of(v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_QUEUED:
      return "queued";
    case v1::JOB_STATE_STARTING:
      return "starting";
    case v1::JOB_STATE_RUNNING:
      return "running";
    case v1::JOB_STATE_STOPPING:
      return "stopping";
    case v1::JOB_STATE_SUCCEEDED:
      return "succeeded";
    case v1::JOB_STATE_FAILED:
      return "failed";
    case v1::JOB_STATE_STOPPED:
      return "stopped";
    default:
      return "unknown";
  }
}

std::string_view label_of(nodes::NodeState state) {
  switch (state) {
    case nodes::NodeState::kReady:
      return "ready";
    case nodes::NodeState::kSuspect:
      return "suspect";
    case nodes::NodeState::kLost:
      return "lost";
  }
  return "unknown";
}

std::string_view label_of(v1::EndCause cause) {
  switch (cause) {
    case v1::END_CAUSE_PROGRAM:
      return "program";
    case v1::END_CAUSE_INFRASTRUCTURE:
      return "infrastructure";
    case v1::END_CAUSE_PREEMPTED:
      return "preempted";
    case v1::END_CAUSE_HUNG:
      return "hung";
    case v1::END_CAUSE_ROLLED_BACK:
      return "rolled_back";
    default:
      return "unknown";
  }
}

template <typename Map, typename Key>
auto value_or_zero(const Map& map, const Key& key) {
  const auto found = map.find(key);
  return found == map.end() ? typename Map::mapped_type{} : found->second;
}

void add_server(Exposition& page, const Snapshot& all) {
  page.family("lctl_server_build_info", Type::kGauge, "The server's version; always 1.")
      .sample({{"version", all.version}}, 1);
  page.family("lctl_server_start_time_seconds", Type::kGauge, "When the server started, Unix time.")
      .sample({}, unix_seconds(all.started));
}

void add_queue(Exposition& page, const jobs::EngineView& engine) {
  Family unfinished = page.family("lctl_jobs", Type::kGauge, "Jobs that have not ended, by state.");
  for (const v1::JobState state : {v1::JOB_STATE_QUEUED, v1::JOB_STATE_STARTING,
                                   v1::JOB_STATE_RUNNING, v1::JOB_STATE_STOPPING}) {
    unfinished.sample({{"state", label_of(state)}}, value_or_zero(engine.unfinished, state));
  }
  Family finished = page.family("lctl_jobs_finished_total", Type::kCounter,
                                "Jobs that ended, by the state in which they did.");
  for (const v1::JobState state :
       {v1::JOB_STATE_SUCCEEDED, v1::JOB_STATE_FAILED, v1::JOB_STATE_STOPPED}) {
    finished.sample({{"state", label_of(state)}}, value_or_zero(engine.counts.finished, state));
  }
  page.family("lctl_attempts_placed_total", Type::kCounter,
              "Attempts that were given nodes: starts, restarts and resumes.")
      .sample({}, engine.counts.attempts_placed);
  Family requeued = page.family("lctl_attempts_requeued_total", Type::kCounter,
                                "Attempts that ended and go on in another one, by cause.");
  for (const v1::EndCause cause :
       {v1::END_CAUSE_PROGRAM, v1::END_CAUSE_INFRASTRUCTURE, v1::END_CAUSE_PREEMPTED,
        v1::END_CAUSE_HUNG, v1::END_CAUSE_ROLLED_BACK}) {
    requeued.sample({{"cause", label_of(cause)}}, value_or_zero(engine.counts.requeued, cause));
  }
  page.family("lctl_hangs_total", Type::kCounter, "Gangs of which a rank was found hung.")
      .sample({}, engine.counts.hangs);
  page.family("lctl_preemptions_total", Type::kCounter,
              "Gangs that were asked to make room for a job of higher priority.")
      .sample({}, engine.counts.preemptions);
  page.family("lctl_scheduler_pass_seconds", Type::kSummary,
              "Time of the scheduler's passes in which at least one job was waiting.")
      .summary({}, seconds(engine.counts.scheduling_time), engine.counts.scheduling_passes);
}

void add_ingest(Exposition& page, const ingest::IntakeCounts& counts) {
  static constexpr std::array<std::string_view, 5> kResults = {"ok", "gap", "fenced", "invalid",
                                                               "retry"};
  Family batches =
      page.family("lctl_ingest_batches_total", Type::kCounter,
                  "Batches from nodes, by what became of them; all but ok were refused.");
  for (std::size_t i = 0; i < kResults.size(); ++i) {
    batches.sample({{"result", kResults[i]}}, counts.batches[i]);
  }
  page.family("lctl_ingest_bytes_total", Type::kCounter,
              "Bytes of events and console output that came in, repeats included.")
      .sample({}, counts.bytes);
  page.family("lctl_ingest_events_total", Type::kCounter, "Events that were new in the store.")
      .sample({}, counts.events);
  page.family("lctl_ingest_points_total", Type::kCounter,
              "Metric points that were new in the store.")
      .sample({}, counts.points);
}

void add_store(Exposition& page, const Snapshot& all) {
  const storage::StoreStatistics& store = all.store;
  Family files =
      page.family("lctl_store_database_bytes", Type::kGauge, "Size of the database's files.");
  files.sample({{"file", "main"}}, static_cast<double>(store.database_bytes));
  files.sample({{"file", "wal"}}, static_cast<double>(store.write_ahead_bytes));
  page.family("lctl_store_disk_free_bytes", Type::kGauge,
              "Free space on the file system of the data folder.")
      .sample({}, static_cast<double>(store.disk_free_bytes));
  page.family("lctl_store_disk_size_bytes", Type::kGauge,
              "Size of the file system of the data folder.")
      .sample({}, static_cast<double>(store.disk_bytes));
  page.family("lctl_store_commits_total", Type::kCounter,
              "Transactions that were committed and synced.")
      .sample({}, store.commits);
  Family changes = page.family("lctl_store_changes_total", Type::kCounter,
                               "Changes that callers asked for; many share a transaction.");
  changes.sample({{"result", "committed"}}, store.changes);
  changes.sample({{"result", "failed"}}, store.failed_changes);
  page.family("lctl_store_chunk_written_bytes_total", Type::kCounter,
              "Bytes of checkpoints that were new in the store.")
      .sample({}, store.chunk_bytes_written);
  page.family("lctl_store_disk_reserve_bytes", Type::kGauge,
              "Free space that is kept for the database: beyond it checkpoints are refused.")
      .sample({}, static_cast<double>(store.reserve_bytes));
  page.family(
          "lctl_store_refused_chunks_total", Type::kCounter,
          "Chunks of checkpoints that were refused for the reserve's sake; nodes send them again.")
      .sample({}, store.refused_chunks);
  page.family("lctl_store_failing", Type::kGauge,
              "1 while changes of jobs wait for a store that cannot commit.")
      .sample({}, all.engine.store_fails ? 1 : 0);
  Family passes = page.family("lctl_garbage_collection_passes_total", Type::kCounter,
                              "Passes of garbage collection.");
  passes.sample({{"result", "ok"}}, all.garbage.passes - all.garbage.failed_passes);
  passes.sample({{"result", "failed"}}, all.garbage.failed_passes);
  page.family("lctl_garbage_collection_freed_bytes_total", Type::kCounter,
              "Bytes that garbage collection has given back.")
      .sample({}, all.garbage.freed_bytes);
}

void add_requests(Exposition& page, const Snapshot& all) {
  Family calls = page.family("lctl_grpc_calls_total", Type::kCounter,
                             "gRPC calls that ended, by method and status.");
  for (const auto& [key, count] : all.calls.finished) {
    calls.sample({{"method", key.first}, {"code", key.second}}, count);
  }
  Family open =
      page.family("lctl_grpc_open_calls", Type::kGauge, "gRPC calls and streams that are open.");
  for (const auto& [method, count] : all.calls.open) {
    open.sample({{"method", method}}, static_cast<double>(count));
  }
  Family requests =
      page.family("lctl_http_requests_total", Type::kCounter,
                  "HTTP requests, by route and class of status; route \"\": none fitted.");
  static constexpr std::array<std::string_view, 5> kClasses = {"1xx", "2xx", "3xx", "4xx", "5xx"};
  for (const http::RouteCount& route : all.http_routes) {
    for (std::size_t i = 0; i < kClasses.size(); ++i) {
      if (route.by_class[i] == 0) continue;
      requests.sample({{"method", route.method}, {"route", route.pattern}, {"code", kClasses[i]}},
                      route.by_class[i]);
    }
  }
  page.family("lctl_http_open_connections", Type::kGauge, "HTTP connections that are open.")
      .sample({}, static_cast<double>(all.http.open));
  page.family("lctl_http_refused_connections_total", Type::kCounter,
              "HTTP connections beyond the limit.")
      .sample({}, all.http.refused);
}

void add_nodes(Exposition& page, const Snapshot& all) {
  // One family after the other, since samples of a family stand together.
  const auto each = [&](std::string_view name, std::string_view help, auto&& add) {
    Family family = page.family(name, Type::kGauge, help);
    for (const nodes::NodeStatus& node : all.nodes) add(family, node);
  };
  each("lctl_node_state", "1 for the state that the node is in, 0 for the others.",
       [](Family& family, const nodes::NodeStatus& node) {
         for (const nodes::NodeState state :
              {nodes::NodeState::kReady, nodes::NodeState::kSuspect, nodes::NodeState::kLost}) {
           family.sample({{"node", node.info.name},
                          {"node_id", node.info.id.str()},
                          {"state", label_of(state)}},
                         node.state == state ? 1 : 0);
         }
       });
  each("lctl_node_drained", "1 while the node takes no new ranks, since it is drained.",
       [&](Family& family, const nodes::NodeStatus& node) {
         family.sample({{"node", node.info.name}, {"node_id", node.info.id.str()}},
                       all.drained.contains(node.info.id) ? 1 : 0);
       });
  each("lctl_node_devices", "Devices that the node offers, by kind.",
       [](Family& family, const nodes::NodeStatus& node) {
         std::map<std::string, int> kinds;
         for (const jobs::NodeDevice& device : node.info.devices) ++kinds[device.kind];
         for (const auto& [kind, count] : kinds) {
           family.sample(
               {{"node", node.info.name}, {"node_id", node.info.id.str()}, {"kind", kind}}, count);
         }
       });
  each("lctl_node_devices_faulty", "Devices of the node that must not be used: see lctl nodes.",
       [](Family& family, const nodes::NodeStatus& node) {
         family.sample({{"node", node.info.name}, {"node_id", node.info.id.str()}},
                       static_cast<double>(node.info.faults.size()));
       });
  each("lctl_node_devices_in_use", "Devices of the node that ranks hold.",
       [&](Family& family, const nodes::NodeStatus& node) {
         family.sample({{"node", node.info.name}, {"node_id", node.info.id.str()}},
                       value_or_zero(all.node_use, node.info.id).devices_in_use);
       });
  each("lctl_node_load1", "Load average of the node over a minute.",
       [](Family& family, const nodes::NodeStatus& node) {
         family.sample({{"node", node.info.name}, {"node_id", node.info.id.str()}}, node.load_1m);
       });
  each("lctl_node_last_seen_timestamp_seconds", "When the node was last heard, Unix time.",
       [](Family& family, const nodes::NodeStatus& node) {
         family.sample({{"node", node.info.name}, {"node_id", node.info.id.str()}},
                       unix_seconds(node.last_seen));
       });
}

void add_jobs(Exposition& page, const jobs::EngineView& engine) {
  Family info = page.family("lctl_job_info", Type::kGauge,
                            "A job that holds devices; always 1. Join on job_id.");
  for (const jobs::ActiveJob& job : engine.active) {
    info.sample({{"job_id", job.id.str()},
                 {"name", job.name},
                 {"experiment", job.experiment},
                 {"state", label_of(job.state)}},
                1);
  }
  page.family("lctl_jobs_without_series", Type::kGauge,
              fmt::format("Jobs that hold devices and are left out below, since there are more "
                          "than {}.",
                          kMaxJobSeries))
      .sample({}, static_cast<double>(engine.active_left_out));
  const auto each = [&](std::string_view name, Type type, std::string_view help, auto&& value) {
    Family family = page.family(name, type, help);
    for (const jobs::ActiveJob& job : engine.active) {
      family.sample({{"job_id", job.id.str()}}, static_cast<double>(value(job)));
    }
  };
  using Job = jobs::ActiveJob;
  each("lctl_job_attempt", Type::kGauge, "The job's current attempt, from 1.",
       [](const Job& job) { return job.attempt; });
  each("lctl_job_restarts", Type::kGauge,
       "Failed attempts that count against the job's max_restarts.",
       [](const Job& job) { return job.restarts; });
  each("lctl_job_global_step", Type::kGauge, "Optimizer steps done; falls when an attempt resumes.",
       [](const Job& job) { return job.progress.global_step(); });
  each("lctl_job_epoch", Type::kGauge, "The current epoch, from 0.",
       [](const Job& job) { return job.progress.epoch(); });
  each("lctl_job_steps_per_second", Type::kGauge, "Over the last few seconds; 0 = not known.",
       [](const Job& job) { return job.progress.steps_per_second(); });
  each("lctl_job_data_waiting_seconds_total", Type::kCounter,
       "Time that training stood still for want of a batch, since the attempt began.",
       [](const Job& job) { return job.progress.data_loading().waited_seconds(); });
  each("lctl_job_progress_timestamp_seconds", Type::kGauge,
       "When rank 0 last told its progress, Unix time on its node; 0 = not yet.",
       [](const Job& job) { return unix_seconds(job.progress.time_us()); });
}

}  // namespace

std::string server_metrics(const Snapshot& snapshot) {
  Exposition page;
  add_server(page, snapshot);
  add_queue(page, snapshot.engine);
  add_ingest(page, snapshot.ingest);
  add_store(page, snapshot);
  add_requests(page, snapshot);
  add_nodes(page, snapshot);
  add_jobs(page, snapshot.engine);
  return page.text();
}

}  // namespace lctl::monitoring
