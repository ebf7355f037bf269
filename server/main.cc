// lctl-server: reads its command line, runs the server, and ends on SIGTERM or SIGINT.
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "base/log.h"
#include "base/version.h"
#include "server/restoring.h"
#include "server/server.h"
#include "server/storage_options.h"

namespace {

using lctl::server::Server;
using lctl::server::ServerOptions;

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

struct Arguments {
  ServerOptions options = {.http = "127.0.0.1:7071"};
  std::int64_t heartbeat_ms = 2'000;
  std::int64_t lost_after_ms = 10'000;
  std::optional<std::int64_t> lease_ms;
  std::int64_t reconnect_ms = 20'000;
  std::string preemption = "off";
  std::int64_t preempt_after_ms = 600'000;
  std::int64_t elastic_after_ms = 60'000;
  std::string log_level = "info";
  bool die_with_parent = false;
  std::string restore;  // "" = serve
  bool restore_quickly = false;
  bool restore_json = false;
};

void declare(CLI::App& app, Arguments& arguments) {
  app.description(
      "The coordinator: takes jobs, schedules them onto nodes, keeps the experiment store.\n"
      "Prints \"listening on HOST:PORT\" when it is ready. SIGTERM or SIGINT ends it; running jobs "
      "go on\n"
      "and are found again by the next start.");
  app.set_version_flag("--version", std::string("lctl-server ") + lctl::kVersion);
  app.add_option("--listen", arguments.options.listen, "HOST:PORT; port 0 lets the kernel choose")
      ->capture_default_str();
  app.add_option("--http", arguments.options.http,
                 "HOST:PORT for HTTP (Prometheus' /metrics, MLflow's clients); \"\" = none")
      ->capture_default_str();
  app.add_option("--data-dir", arguments.options.data_dir, "folder of the store; made when absent")
      ->required();
  app.add_option("--heartbeat-ms", arguments.heartbeat_ms, "how often nodes say that they live")
      ->check(CLI::Range(10, 60'000))
      ->capture_default_str();
  app.add_option("--lost-after-ms", arguments.lost_after_ms,
                 "silence after which a node's ranks are started elsewhere")
      ->check(CLI::Range(20, 3'600'000))
      ->capture_default_str();
  app.add_option(
         "--lease-ms", arguments.lease_ms,
         "ranks of a node that has not heard from the server for so long write a checkpoint "
         "and end; 0 = never (default: 120000, or twice lost-after when that is more)")
      ->check(CLI::Range(0, 86'400'000));
  app.add_option(
         "--reconnect-ms", arguments.reconnect_ms,
         "further time that nodes have after a start of the server to come back with their ranks")
      ->check(CLI::Range(0, 3'600'000))
      ->capture_default_str();
  app.add_option("--preemption", arguments.preemption,
                 "priority: a job that waits for devices makes jobs of lower priority write a "
                 "checkpoint and wait in its place; off: it waits")
      ->type_name("WHAT")
      ->check(CLI::IsMember({"off", "priority"}))
      ->capture_default_str();
  app.add_option("--preempt-after-ms", arguments.preempt_after_ms,
                 "time that every attempt has before it may have to make room")
      ->check(CLI::Range(0, 86'400'000))
      ->capture_default_str();
  app.add_option(
         "--elastic-after-ms", arguments.elastic_after_ms,
         "time that every attempt of an elastic job has before it ends to be placed on more "
         "nodes")
      ->check(CLI::Range(0, 86'400'000))
      ->capture_default_str();
  app.add_option("--log-level", arguments.log_level, "trace, debug, info, warning, error or off")
      ->capture_default_str();
  app.add_flag(
      "--insecure-listen", arguments.options.insecure_listen,
      "allow other addresses than loopback, without TLS or login: for trusted networks only");
  app.add_flag("--die-with-parent", arguments.die_with_parent,
               "end when the program that started this one ends");
  lctl::server::declare_storage_options(app, arguments.options);
  CLI::Option* restore =
      app.add_option(
             "--restore", arguments.restore,
             "put the store of a backup (or the newest of a folder of backups) into the new "
             "or empty --data-dir, and end")
          ->type_name("BACKUP");
  app.add_flag("--quick", arguments.restore_quickly,
               "with --restore: look at the sizes of chunks, do not read them")
      ->needs(restore);
  app.add_flag("--json", arguments.restore_json, "with --restore: print the outcome as JSON")
      ->needs(restore);
}

// False: the parent is gone already.
bool follow_parent() {
  const pid_t parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  return getppid() == parent;
}

sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// Until one of the signals comes; which. Under a systemd watchdog it proves meanwhile that the
// engine lives.
int wait_for_end(Server& server, const sigset_t& signals) {
  std::uint64_t watchdog_us = 0;
  if (sd_watchdog_enabled(/*unset_environment=*/0, &watchdog_us) <= 0) {
    int signal = 0;
    sigwait(&signals, &signal);
    return signal;
  }
  const std::uint64_t period_us = watchdog_us / 2;
  const timespec period{static_cast<time_t>(period_us / 1'000'000),
                        static_cast<long>(period_us % 1'000'000 * 1'000)};
  while (true) {
    if (const int signal = sigtimedwait(&signals, nullptr, &period); signal > 0) return signal;
    server.touch();
    sd_notify(0, "WATCHDOG=1");
  }
}

int serve(const Arguments& arguments) {
  // Before any thread starts: they all inherit the mask, and only this one waits for the signals.
  const sigset_t signals = ending_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  auto server = Server::start(arguments.options);
  if (!server.ok()) {
    fmt::print(stderr, "lctl-server: {}\n", lctl::message_of(server.status()));
    return kExitFailed;
  }
  fmt::print("listening on {}\n", (*server)->address());
  if (!(*server)->http_address().empty()) fmt::print("http on {}\n", (*server)->http_address());
  std::fflush(stdout);
  sd_notify(0, fmt::format("READY=1\nSTATUS=listening on {}", (*server)->address()).c_str());

  const int signal = wait_for_end(**server, signals);

  sd_notify(0, "STOPPING=1");
  // The same signal again ends the process at once: everything that was acknowledged is durable.
  // The other one may be the same Ctrl-C, passed on by a parent.
  sigset_t again;
  sigemptyset(&again);
  sigaddset(&again, signal);
  pthread_sigmask(SIG_UNBLOCK, &again, nullptr);
  (*server)->stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app;
  Arguments arguments;
  declare(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : kExitUsage;
  }
  if (!lctl::set_log_level(arguments.log_level)) {
    fmt::print(stderr,
               "lctl-server: unknown --log-level '{}': trace, debug, info, warning, error or off\n",
               arguments.log_level);
    return kExitUsage;
  }
  arguments.options.heartbeat_interval = std::chrono::milliseconds(arguments.heartbeat_ms);
  arguments.options.preemption = {
      .by_priority = arguments.preemption == "priority",
      .minimum_run = std::chrono::milliseconds(arguments.preempt_after_ms)};
  arguments.options.growth.minimum_run = std::chrono::milliseconds(arguments.elastic_after_ms);
  arguments.options.lost_after = std::chrono::milliseconds(arguments.lost_after_ms);
  if (arguments.lease_ms) arguments.options.lease = std::chrono::milliseconds(*arguments.lease_ms);
  arguments.options.reconnect_allowance = std::chrono::milliseconds(arguments.reconnect_ms);
  if (arguments.die_with_parent && !follow_parent()) return 0;
  if (!arguments.restore.empty()) {
    return lctl::server::restore({.backup = arguments.restore,
                                  .data_dir = arguments.options.data_dir,
                                  .check_hashes = !arguments.restore_quickly},
                                 arguments.restore_json)
               ? 0
               : kExitFailed;
  }
  return serve(arguments);
}
