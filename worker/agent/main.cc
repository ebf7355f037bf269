// lctl-worker: the node daemon. See docs/node_daemon.md.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"
#include "worker/agent/agent.h"
#include "worker/agent/devices.h"
#include "worker/agent/metrics_server.h"
#include "worker/agent/node_identity.h"

namespace {

constexpr int kUsageError = 2;
constexpr std::chrono::seconds kStopGrace{30};

struct Flags {
  std::string server = "127.0.0.1:7070";
  std::string data_dir = "/var/lib/lctl-worker";
  std::string name;
  std::string address;
  std::string trainer;
  std::string keeper;
  int cpu_slots = -1;
  std::string metrics;
  double measure_every = 10;
  std::string gpu_library = lctl::agent::kGpuLibrary;
  std::string log_level = "info";
  bool die_with_parent = false;
  bool stop_ranks_on_exit = false;
};

// `given`, else the program of that name beside ours or where a Bazel build has it, else in PATH.
std::string find_program(const std::string& given, const std::string& name,
                         const std::string& built) {
  if (!given.empty()) return std::filesystem::absolute(given).string();
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  for (const std::filesystem::path& candidate : {own / name, own.parent_path() / built}) {
    if (access(candidate.c_str(), X_OK) == 0 && !std::filesystem::is_directory(candidate)) {
      return candidate.lexically_normal().string();
    }
  }
  const char* path = std::getenv("PATH");
  std::string rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    const std::filesystem::path candidate = std::filesystem::path(rest.substr(0, colon)) / name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate.string();
    rest.erase(0, colon == std::string::npos ? rest.size() : colon + 1);
  }
  return (own / name).string();  // a launch will say that it is not there
}

// "" when it is HOST:PORT, else what is wrong: CLI11's form of a check.
std::string check_host_port(std::string& text) {
  const std::size_t colon = text.rfind(':');
  const std::string port = colon == std::string::npos ? "" : text.substr(colon + 1);
  const bool digits = !port.empty() && port.size() <= 5 &&
                      port.find_first_not_of("0123456789") == std::string::npos;
  if (colon != 0 && digits && std::stoi(port) >= 1 && std::stoi(port) <= 65'535) return "";
  return fmt::format("'{}' is not HOST:PORT, as coordinator:7070 or [::1]:7070", text);
}

void declare_flags(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version", lctl::kVersion);
  app.add_option("--server", flags.server, "Coordinator, HOST:PORT")
      ->check(CLI::Validator(check_host_port, "", "HOST:PORT"))
      ->envname("LCTL_SERVER")
      ->capture_default_str();
  app.add_option("--data-dir", flags.data_dir, "Folder of this node's runs and identity")
      ->capture_default_str();
  app.add_option("--name", flags.name, "Name of this node (default: the host name)");
  app.add_option(
      "--address", flags.address,
      "Where other nodes reach this one (default: the local address towards the server)");
  app.add_option("--trainer", flags.trainer,
                 "lctl-trainer to run (default: the one beside this program)");
  app.add_option("--keeper", flags.keeper,
                 "lctl-keeper to run (default: the one beside this program)");
  app.add_option("--cpu-slots", flags.cpu_slots,
                 "CPU ranks that fit here (default: cores, or 0 with GPUs)")
      ->check(CLI::Range(0, 1024));
  app.add_option("--metrics", flags.metrics,
                 "Serve /metrics for Prometheus at HOST:PORT (default: off)")
      ->type_name("HOST:PORT");
  app.add_option("--measure-every", flags.measure_every,
                 "Seconds between measurements of CPU, memory and GPUs while ranks run; 0: none")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 86'400.0))
      ->capture_default_str();
  app.add_option("--gpu-library", flags.gpu_library,
                 "NVIDIA's management library, by which GPUs are found and watched")
      ->capture_default_str();
  app.add_option("--log-level", flags.log_level, "trace, debug, info, warning, error or off")
      ->capture_default_str();
  app.add_flag("--die-with-parent", flags.die_with_parent, "End when the starting process ends");
  app.add_flag("--stop-ranks-on-exit", flags.stop_ranks_on_exit,
               "On SIGTERM also stop the ranks (default: they go on and are adopted by the next "
               "lctl-worker)");
  app.footer("Example: lctl-worker --server coordinator:7070 --data-dir /var/lib/lctl-worker");
}

lctl::agent::AgentOptions make_options(const Flags& flags) {
  std::string reason;
  const std::vector<lctl::agent::Gpu> gpus = lctl::agent::list_gpus(flags.gpu_library, &reason);
  if (!reason.empty()) lctl::logger("devices").info("GPUs: {}", reason);
  lctl::agent::AgentOptions options;
  options.server = flags.server;
  options.data_dir = std::filesystem::absolute(flags.data_dir);
  options.name = flags.name.empty() ? lctl::agent::host_name() : flags.name;
  options.address =
      flags.address.empty() ? lctl::agent::address_towards(flags.server) : flags.address;
  options.trainer = find_program(flags.trainer, "lctl-trainer", "trainer/lctl-trainer");
  options.keeper = find_program(flags.keeper, "lctl-keeper", "keeper/lctl-keeper");
  options.gpu_library = flags.gpu_library;
  options.cpus = lctl::agent::usable_cpus();
  options.memory_bytes = lctl::agent::physical_memory();
  options.measure_every = std::chrono::duration_cast<lctl::Duration>(
      std::chrono::duration<double>(flags.measure_every));
  const int slots = flags.cpu_slots >= 0 ? flags.cpu_slots : (gpus.empty() ? options.cpus : 0);
  options.devices = lctl::agent::make_devices(slots, gpus);
  return options;
}

std::map<std::string, int> by_kind(const std::vector<lctl::v1::Device>& devices) {
  std::map<std::string, int> kinds;
  for (const lctl::v1::Device& device : devices) ++kinds[device.kind()];
  return kinds;
}

// Waits for SIGTERM or SIGINT, feeding systemd's watchdog meanwhile when it asks for that.
void wait_for_signal(const sigset_t& signals) {
  std::uint64_t watchdog_us = 0;
  if (sd_watchdog_enabled(0, &watchdog_us) <= 0) watchdog_us = 0;
  while (true) {
    if (watchdog_us == 0) {
      int signal = 0;
      sigwait(&signals, &signal);
      return;
    }
    const std::uint64_t half = watchdog_us / 2;
    const timespec timeout{static_cast<time_t>(half / 1'000'000),
                           static_cast<long>(half % 1'000'000) * 1000};
    if (sigtimedwait(&signals, nullptr, &timeout) > 0) return;
    sd_notify(0, "WATCHDOG=1");
  }
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("lctl-worker: the node daemon of lctl");
  declare_flags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageError;  // one code for all: the unit goes by it
  }
  if (!lctl::set_log_level(flags.log_level)) {
    fmt::print(stderr, "lctl-worker: --log-level: unknown level '{}'\n", flags.log_level);
    return kUsageError;
  }
  const pid_t parent = getppid();
  if (flags.die_with_parent) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) return 1;  // it was faster
  }

  // Before any thread exists, so that all inherit it: the signals are taken by sigwait alone.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  const lctl::agent::AgentOptions options = make_options(flags);
  auto agent = lctl::agent::Agent::start(options);
  if (!agent.ok()) {
    fmt::print(stderr, "lctl-worker: {}\n", lctl::message_of(agent.status()));
    return 1;
  }
  std::unique_ptr<lctl::agent::MetricsServer> metrics;
  if (!flags.metrics.empty()) {
    auto started = lctl::agent::MetricsServer::start(
        flags.metrics, **agent, by_kind(options.devices), lctl::system_clock().wall_now());
    if (!started.ok()) {
      fmt::print(stderr, "lctl-worker: --metrics: {}\n", lctl::message_of(started.status()));
      return 1;
    }
    metrics = *std::move(started);
    lctl::logger("metrics").info("http on {}", metrics->address());
  }
  sd_notify(0, "READY=1");
  wait_for_signal(signals);
  sd_notify(0, "STOPPING=1");
  metrics.reset();  // before the agent, which it asks
  if (flags.stop_ranks_on_exit) (*agent)->stop_ranks(kStopGrace);
  agent->reset();
  return 0;
}
