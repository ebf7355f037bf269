// The coordinator as one object: store, jobs engine, node table, ingest, all gRPC services and the
// HTTP server, wired. main.cc and tests start the same one.
//
//   auto server = Server::start({.listen = "127.0.0.1:0", .data_dir = dir});
//   (*server)->address();   // "127.0.0.1:41234"
//   (*server)->stop();
//
// Thread rule: start and stop from one thread; the rest from any, until stop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "server/jobs/growth.h"
#include "server/jobs/preemption.h"
#include "server/jobs/quotas.h"
#include "server/retention/rules.h"
#include "storage/blobs/checkpoint_quotas.h"

namespace lctl::server {

struct ServerOptions {
  std::string listen = "127.0.0.1:7070";  // HOST:PORT; port 0 = the kernel picks one
  std::string http;                       // the same for HTTP; "" = none
  bool insecure_listen = false;           // allows other addresses than loopback
  std::filesystem::path data_dir;         // made when absent
  Duration heartbeat_interval = std::chrono::seconds(2);
  Duration lost_after = std::chrono::seconds(10);  // suspect after 3/5 of it
  // How long ranks go on without a word from the server; zero = for ever. nullopt =
  // default_lease().
  std::optional<Duration> lease;
  // After a server start nodes have this time beyond lost_after to connect again with their ranks.
  Duration reconnect_allowance = std::chrono::seconds(20);
  retention::Rules retention;  // of jobs that have ended
  jobs::Quotas quotas;
  jobs::Preemption preemption;
  jobs::Growth growth;
  storage::CheckpointQuotas checkpoint_quotas;
  int max_metric_keys = 0;  // of a job; 0 = no limit
  // Of the disk, for the database: beyond it checkpoints are refused. nullopt = default_reserve().
  std::optional<std::int64_t> reserve_bytes;
  const Clock& clock = system_clock();  // outlives the server
};

class Server {
 public:
  // Opens the store, rebuilds all state, and serves. Errors: InvalidArgument (address, intervals),
  // FailedPrecondition (not loopback), Unavailable (port taken, data folder in use), and the
  // store's.
  static absl::StatusOr<std::unique_ptr<Server>> start(ServerOptions options);

  // stop().
  ~Server();

  // Where it listens: HOST:PORT with the real port.
  const std::string& address() const;

  // The same for HTTP; "" when it is off.
  const std::string& http_address() const;

  // Ends all streams with Unavailable, finishes what is running, closes the store. Idempotent.
  void stop();

  // Returns when all that is due now has been done: proof that the engine lives.
  void touch();

  // Returns when garbage collection has done what is due now. It runs by itself: for tests that
  // move the clock.
  void collect_garbage();

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace lctl::server
