#include "server/server.h"

#include <fmt/format.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/version.h"
#include "http/listen_address.h"
#include "http/router.h"
#include "http/server.h"
#include "server/garbage_collection.h"
#include "server/ingest/intake.h"
#include "server/jobs/engine.h"
#include "server/jobs/job_feed.h"
#include "server/jobs/strand.h"
#include "server/listen_address.h"
#include "server/mlflow/api.h"
#include "server/monitoring/call_counts.h"
#include "server/monitoring/monitor.h"
#include "server/nodes/node_table.h"
#include "server/nodes/session_service.h"
#include "server/retention/pass.h"
#include "server/services/admin_service.h"
#include "server/services/checkpoints_service.h"
#include "server/services/cluster_service.h"
#include "server/services/experiments_service.h"
#include "server/services/ingest_service.h"
#include "server/services/jobs_service.h"
#include "server/services/spec_check.h"
#include "storage/store.h"

namespace lctl::server {
namespace {

constexpr int kShutdownGraceMs =
    2'000;  // for calls that are still running; then they are cancelled

// They wait for commits, so more of them than cores make larger groups.
constexpr int kHttpThreads = 8;

spdlog::logger& log() {
  static spdlog::logger& named = logger("server");
  return named;
}

// Progress goes from ingest to those who watch a job. All else the engine hears from nodes.
class ProgressRelay final : public ingest::EventObserver {
 public:
  ProgressRelay(jobs::Strand& strand, jobs::JobsEngine& engine)
      : strand_(strand), engine_(engine) {}

  void on_ready(const AttemptId&, int, const v1::RankReady&) override {}
  void on_progress(const AttemptId& attempt, const v1::Progress& progress) override {
    strand_.post([&engine = engine_, attempt, progress] {
      engine.progress(attempt.job, attempt.number, progress);
    });
  }
  void on_finished(const AttemptId&, int, const v1::Finished&) override {}

 private:
  jobs::Strand& strand_;
  jobs::JobsEngine& engine_;
};

v1::ServerInfo server_info(const ServerOptions& options) {
  v1::ServerInfo info;
  info.set_version(kVersion);
  info.set_started_us(unix_micros(options.clock.wall_now()));
  std::error_code ignored;
  info.set_data_dir(std::filesystem::absolute(options.data_dir, ignored).string());
  return info;
}

// What is kept free for the database.
std::int64_t reserve_of(const ServerOptions& options) {
  if (options.reserve_bytes) return *options.reserve_bytes;
  // The folder itself may not be there yet.
  std::error_code error;
  std::filesystem::path folder = std::filesystem::absolute(options.data_dir, error);
  while (!std::filesystem::exists(folder, error) && folder.has_relative_path()) {
    folder = folder.parent_path();
  }
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  return error ? 0 : storage::default_reserve(static_cast<std::int64_t>(space.capacity));
}

absl::Status check_intervals(const ServerOptions& options) {
  if (options.heartbeat_interval <= Duration::zero() ||
      options.lost_after < 2 * options.heartbeat_interval) {
    return absl::InvalidArgumentError(
        "lost-after must be at least twice the heartbeat interval, and both above zero: else one "
        "late "
        "heartbeat would lose a node");
  }
  if (options.lease && *options.lease != Duration::zero() && *options.lease <= options.lost_after) {
    return absl::InvalidArgumentError(
        "the lease must be longer than lost-after (or 0, for none): else ranks would end before "
        "anybody misses their node");
  }
  return absl::OkStatus();
}

Duration default_lease(Duration lost_after) {
  return std::max<Duration>(std::chrono::seconds(120), 2 * lost_after);
}

}  // namespace

// In the order of construction: what comes later uses what comes earlier.
struct Server::Parts {
  Parts(const ServerOptions& options, std::unique_ptr<storage::Store> opened)
      : store(std::move(opened)),
        table({.clock = options.clock,
               .heartbeat_interval = options.heartbeat_interval,
               .suspect_after = options.lost_after * 3 / 5,
               .lost_after = options.lost_after,
               .lease = options.lease.value_or(default_lease(options.lost_after))}),
        strand(options.clock),
        garbage(store->checkpoints(), options.clock),
        garbage_strand(options.clock),
        verifying(options.clock) {}

  // The rest, once the engine could be opened.
  void assemble(const ServerOptions& options, std::unique_ptr<jobs::JobsEngine> opened);
  absl::Status listen(const http::ListenAddress& wanted);
  absl::Status listen_http(const http::ListenAddress& wanted);
  absl::StatusOr<services::AdminService::Tidied> tidy_up(bool dry_run);
  void verify(const AttemptId& attempt, const CheckpointId& checkpoint);
  void start_strands();

  std::unique_ptr<storage::Store> store;
  jobs::JobFeed feed;
  nodes::NodeTable table;
  std::unique_ptr<jobs::JobsEngine> engine;
  jobs::Strand strand;
  GarbageCollection garbage;
  std::optional<retention::RetentionPass> retention;
  std::stop_source garbage_stop;
  jobs::Strand garbage_strand;
  jobs::Strand verifying;  // reads checkpoints that arrived damaged at a node
  std::optional<ProgressRelay> relay;
  std::optional<ingest::Intake> intake;
  std::optional<nodes::SessionService> sessions;
  std::optional<services::JobsService> jobs_service;
  std::optional<services::ClusterService> cluster;
  std::optional<services::IngestService> ingest;
  std::optional<services::CheckpointsService> checkpoints;
  std::optional<services::ExperimentsService> experiments;
  std::optional<services::AdminService> admin;
  monitoring::CallCounts calls;
  http::ConnectionCounts connections;
  std::optional<monitoring::Monitor> monitor;
  std::optional<mlflow::Api> mlflow_api;
  http::Router router;
  std::unique_ptr<http::HttpServer> http;
  std::unique_ptr<grpc::Server> grpc;
  std::string address;
  std::string http_address;
  bool stopped = false;
};

void Server::Parts::assemble(const ServerOptions& options,
                             std::unique_ptr<jobs::JobsEngine> opened) {
  engine = std::move(opened);
  table.attach(*engine);
  relay.emplace(strand, *engine);
  intake.emplace(store->events(), *relay);
  sessions.emplace(table, strand, options.clock);
  jobs_service.emplace(services::WatchSources{strand, *engine, feed, *store}, services::check_spec);
  cluster.emplace(strand, *engine, table, server_info(options));
  ingest.emplace(*intake);
  checkpoints.emplace(store->checkpoints(), store->jobs(),
                      [this](const JobId& id, std::string why) {
                        strand.post([this, id, why = std::move(why)]() mutable {
                          if (why.empty()) engine->checkpoint_committed(id);
                          engine->checkpoint_refused(id, std::move(why));
                        });
                      });
  experiments.emplace(*store);
  const auto remove_job = [this](const JobId& id) {
    return strand.call([&] { return engine->remove(id); });
  };
  retention.emplace(retention::RetentionPass::Options{
      .rules = options.retention,
      .store = *store,
      .clock = options.clock,
      .remove_job = [remove_job](const JobId& id) { return remove_job(id).status(); }});
  admin.emplace(*store, services::AdminService::Doors{
                            .tidy_up = [this](bool dry_run) { return tidy_up(dry_run); },
                            .remove_job = remove_job});
  monitor.emplace(monitoring::Monitor::Sources{.strand = strand,
                                               .engine = *engine,
                                               .nodes = table,
                                               .intake = *intake,
                                               .store = *store,
                                               .garbage = garbage,
                                               .calls = calls,
                                               .router = router,
                                               .connections = connections},
                  options.clock.wall_now());
  router.add({.method = "GET", .pattern = "/metrics", .handler = [this](const http::Request&) {
                return monitor->metrics();
              }});
  mlflow_api.emplace(*store, [this](const JobId& id, const storage::LabelChange& change) {
    return strand.call([&] { return engine->label(id, change); });
  });
  mlflow_api->add_routes(router);
}

// On the strand that does the same by itself: the two never look at the same chunk at once.
absl::StatusOr<services::AdminService::Tidied> Server::Parts::tidy_up(bool dry_run) {
  return garbage_strand.call([&]() -> absl::StatusOr<services::AdminService::Tidied> {
    services::AdminService::Tidied all;
    LCTL_ASSIGN_OR_RETURN(all.removals, retention->run(dry_run));
    LCTL_ASSIGN_OR_RETURN(all.collected, garbage.collect_now(dry_run, garbage_stop.get_token()));
    return all;
  });
}

// What may be gigabytes is read on a thread of its own.
void Server::Parts::verify(const AttemptId& attempt, const CheckpointId& checkpoint) {
  verifying.post([this, attempt, checkpoint] {
    strand.post([this, attempt, checkpoint, damage = store->checkpoints().verify(checkpoint)] {
      engine->checkpoint_verified(attempt, checkpoint, damage);
    });
  });
}

absl::Status Server::Parts::listen_http(const http::ListenAddress& wanted) {
  auto started = http::HttpServer::start({.host = wanted.host,
                                          .port = wanted.port,
                                          .router = router,
                                          .connections = connections,
                                          .handler_threads = kHttpThreads});
  if (!started.ok()) {
    return absl::UnavailableError(
        fmt::format("HTTP: {}; choose another with --http HOST:PORT, or none with --http \"\"",
                    message_of(started.status())));
  }
  http = *std::move(started);
  http_address = http::ListenAddress{wanted.host, http->port()}.str();
  return absl::OkStatus();
}

absl::Status Server::Parts::listen(const http::ListenAddress& wanted) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(wanted.str(), grpc::InsecureServerCredentials(), &port);
  // Two servers on one port would each get half of the nodes.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // A host that vanished is noticed although it never closed its connections; agents may ping too.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder.SetMaxReceiveMessageSize(
      std::max(services::kMaxIngestMessageBytes, services::kMaxChunkMessageBytes));
  for (grpc::Service* service :
       std::initializer_list<grpc::Service*>{&*sessions, &*jobs_service, &*cluster, &*ingest,
                                             &*checkpoints, &*experiments, &*admin}) {
    builder.RegisterService(service);
  }
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> watchers;
  watchers.push_back(calls.watcher());
  builder.experimental().SetInterceptorCreators(std::move(watchers));
  grpc = builder.BuildAndStart();
  if (grpc == nullptr || port == 0) {
    return absl::UnavailableError(
        fmt::format("cannot listen on {}: perhaps another lctl-server or program uses that port, "
                    "or the host is not "
                    "of this machine; choose another with --listen HOST:PORT",
                    wanted.str()));
  }
  address = http::ListenAddress{wanted.host, port}.str();
  return absl::OkStatus();
}

// The table's judgements come first, so that the engine settles what follows from them at once.
void Server::Parts::start_strands() {
  strand.start({[this] {
                  table.advance();
                  engine->settle();
                },
                [this]() -> std::optional<MonotonicTime> {
                  const auto silence = table.next_deadline();
                  const auto work = engine->next_deadline();
                  if (!silence || !work) return silence ? silence : work;
                  return std::min(*silence, *work);
                }});
  verifying.start({[] {}, [] { return std::nullopt; }});
  garbage_strand.start({[this] {
                          retention->advance();
                          garbage.advance(garbage_stop.get_token());
                        },
                        [this]() -> std::optional<MonotonicTime> {
                          const auto rules = retention->next_deadline();
                          return rules ? std::min(*rules, garbage.next_deadline())
                                       : garbage.next_deadline();
                        }});
}

absl::StatusOr<std::unique_ptr<Server>> Server::start(ServerOptions options) {
  LCTL_ASSIGN_OR_RETURN(const auto wanted, http::parse_listen_address(options.listen));
  LCTL_RETURN_IF_ERROR(check_exposure(wanted, options.insecure_listen));
  std::optional<http::ListenAddress> wanted_http;
  if (!options.http.empty()) {
    auto parsed = http::parse_listen_address(options.http);
    LCTL_RETURN_IF_ERROR(with_context(parsed.status(), "--http"));
    LCTL_RETURN_IF_ERROR(with_context(check_exposure(*parsed, options.insecure_listen), "--http"));
    wanted_http = *std::move(parsed);
  }
  LCTL_RETURN_IF_ERROR(check_intervals(options));
  LCTL_ASSIGN_OR_RETURN(auto store,
                        storage::Store::open({.dir = options.data_dir,
                                              .clock = options.clock,
                                              .space = {.reserve_bytes = reserve_of(options)},
                                              .checkpoint_quotas = options.checkpoint_quotas,
                                              .max_metric_keys = options.max_metric_keys}));
  auto parts = std::make_unique<Parts>(options, std::move(store));
  LCTL_ASSIGN_OR_RETURN(
      auto engine, jobs::JobsEngine::open(
                       {.clock = options.clock,
                        .store = *parts->store,
                        .launcher = parts->table,
                        .feed = parts->feed,
                        .return_allowance = options.lost_after + options.reconnect_allowance,
                        .quotas = options.quotas,
                        .preemption = options.preemption,
                        .growth = options.growth,
                        .lost_after = options.lost_after,
                        .verify_checkpoint = [parts = parts.get()](const AttemptId& attempt,
                                                                   const CheckpointId& checkpoint) {
                          parts->verify(attempt, checkpoint);
                        }}));
  parts->assemble(options, std::move(engine));
  parts->start_strands();
  std::unique_ptr<Server> server(new Server(std::move(parts)));
  // HTTP first: when it cannot, no node has been told yet that there is a server.
  if (wanted_http) LCTL_RETURN_IF_ERROR(server->parts_->listen_http(*wanted_http));
  LCTL_RETURN_IF_ERROR(server->parts_->listen(wanted));
  log().info("lctl-server {} listens on {}, data in {}", kVersion, server->address(),
             options.data_dir.string());
  return server;
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() { stop(); }

const std::string& Server::address() const { return parts_->address; }

const std::string& Server::http_address() const { return parts_->http_address; }

void Server::touch() {
  parts_->strand.call([] {});
  parts_->strand.call([] {});  // runs behind what followed from the first
}

void Server::collect_garbage() {
  parts_->garbage_strand.call([] {});
  parts_->garbage_strand.call([] {});  // runs behind what followed from the first
}

void Server::stop() {
  Parts& parts = *parts_;
  if (std::exchange(parts.stopped, true)) return;
  parts.garbage_stop.request_stop();
  if (parts.http != nullptr) parts.http->stop();  // its handlers use all the rest
  parts.strand.call(
      [&] { parts.table.close_all(absl::UnavailableError("the server is shutting down")); });
  parts.jobs_service->shutdown();
  parts.ingest->shutdown();
  parts.checkpoints->shutdown();
  parts.experiments->shutdown();
  parts.admin->shutdown();
  if (parts.grpc != nullptr) {
    parts.grpc->Shutdown(gpr_time_from_millis(kShutdownGraceMs, GPR_TIMESPAN));
    parts.grpc->Wait();
  }
  parts.garbage_strand.stop();
  parts.verifying.stop();
  parts.strand.stop();
  parts.engine.reset();
  parts.store.reset();
  log().info("lctl-server has stopped");
}

}  // namespace lctl::server
