// A server and some workers on this machine, watched from one terminal: `lctl up`.
#pragma once

#include <sys/types.h>

#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/cli/local_cluster/daemon.h"
#include "client/cli/local_cluster/machine.h"
#include "client/cli/local_cluster/restart_delay.h"
#include "client/cli/session.h"

namespace lctl::cli {

struct LocalClusterOptions {
  int workers = 1;
  int slots = 0;         // CPU ranks of each worker; 0 = one for each of its cores
  std::string data_dir;  // absolute
  std::string address = client::kDefaultAddress;  // port 0: the kernel chooses
  // Of the server's HTTP; "" = none; not set = the port behind that of `address` on the same host.
  std::optional<std::string> http;
};

// Starts the daemons, keeps them running, and stops them in order: ranks and workers first, then
// the server. Nothing outlives it. Thread rule: one strand only, that of the main thread (the
// daemons live as long as the thread that started them).
class LocalCluster {
 public:
  LocalCluster(const Session& session, LocalClusterOptions options);
  ~LocalCluster();
  LocalCluster(const LocalCluster&) = delete;
  LocalCluster& operator=(const LocalCluster&) = delete;

  // Until Ctrl-C; returns the exit code.
  int run();

 private:
  struct Member {
    Daemon daemon;
    RestartDelay delay;
    MonotonicTime started{};
    std::optional<MonotonicTime> restart_at;  // set while it waits for its next start
  };

  absl::Status prepare();
  absl::Status lock_data_dir();
  absl::Status choose_http();
  absl::Status check_address();
  absl::Status start_server();
  absl::Status start_workers();
  absl::Status wait_until_ready();
  absl::Status publish_address();
  void print_summary();
  void supervise();
  void stop();

  absl::Status start(Member& member);
  void reap();
  void restart_due();
  // A moment, or until the first interruption; false then.
  bool pause(const std::stop_token& stop) const;
  // Waits until these have ended; kills them when a second interruption or the deadline comes.
  void await_end(const std::vector<Member*>& members, Duration limit);
  void say(const std::string& line) const;

  const Session& session_;
  const LocalClusterOptions options_;
  const std::stop_token first_;
  const std::stop_token second_;
  HostPort listen_;
  std::string http_;     // "" = none
  std::string address_;  // the real one, once the server listens
  int lock_ = -1;
  bool published_ = false;
  bool supervising_ = false;
  std::deque<Member> members_;  // the server first
};

}  // namespace lctl::cli
