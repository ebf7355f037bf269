// An HTTP/1.1 server: takes connections, reads requests, lets a Router answer them.
//
//   Router router;
//   router.add({.method = "GET", .pattern = "/metrics", .handler = metrics});
//   ConnectionCounts connections;
//   auto server = HttpServer::start({.host = "127.0.0.1", .port = 0, .router = router,
//                                    .connections = connections});
//   (*server)->port();
//
// One thread moves all bytes and never waits for a peer, so a slow client costs a connection and no
// thread; handlers run on a few threads of their own. Everything a peer can make grow has a bound
// (Limits): what exceeds one is answered with 413, 431 or 503; who is too slow is disconnected.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "http/router.h"

namespace lctl::http {

struct Limits {
  int connections = 256;                  // beyond them: 503 at once
  std::uint32_t header_bytes = 16 << 10;  // request line and headers
  Duration header_time =
      std::chrono::seconds(10);                   // from connecting to the end of the first header
  Duration idle_time = std::chrono::seconds(75);  // from a response to the end of the next header
  Duration body_time = std::chrono::seconds(30);
  Duration write_time = std::chrono::seconds(30);
  Duration stop_grace = std::chrono::seconds(2);  // for requests under way when the server stops
};

struct ConnectionView {
  std::uint64_t open = 0;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  // there were too many
};

// Counted by a server, looked at by others. Thread rule: internally locked.
class ConnectionCounts {
 public:
  ConnectionView view() const {
    return {.open = open_.load(std::memory_order_relaxed),
            .accepted = accepted_.load(std::memory_order_relaxed),
            .refused = refused_.load(std::memory_order_relaxed)};
  }

 private:
  friend class HttpServer;
  std::atomic<std::uint64_t> open_{0};
  std::atomic<std::uint64_t> accepted_{0};
  std::atomic<std::uint64_t> refused_{0};
};

// Thread rule: start and stop from one thread; the rest from any.
class HttpServer {
 public:
  struct Options {
    std::string host;               // "127.0.0.1", "::1", "localhost"
    int port = 0;                   // 0 = the kernel picks one
    const Router& router;           // outlives the server
    ConnectionCounts& connections;  // outlives the server
    int handler_threads = 2;
    Limits limits = {};
  };

  // Listens when it returns. Unavailable: the port is taken, or the host is not of this machine.
  static absl::StatusOr<std::unique_ptr<HttpServer>> start(Options options);

  // stop().
  ~HttpServer();

  // Takes no more connections, lets requests under way end for stop_grace, closes all. No handler
  // runs afterwards. Idempotent.
  void stop();

  int port() const;

 private:
  class Core;
  explicit HttpServer(std::unique_ptr<Core> core);

  const std::unique_ptr<Core> core_;
};

}  // namespace lctl::http
