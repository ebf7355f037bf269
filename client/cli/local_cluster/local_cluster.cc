#include "client/cli/local_cluster/local_cluster.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <utility>

#include "base/status.h"
#include "client/cli/local_cluster/programs.h"
#include "client/cli/terminal/human.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {

namespace fs = std::filesystem;

namespace {

constexpr Duration kTick = std::chrono::milliseconds(50);
constexpr Duration kStartLimit = std::chrono::seconds(30);
constexpr Duration kWorkersEndLimit = std::chrono::seconds(120);
constexpr Duration kServerEndLimit = std::chrono::seconds(15);
constexpr int kLinesShown = 5;

std::string indented(const std::string& text) {
  std::string out;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    out += "\n    " + printable(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

// The address in the server's "listening on HOST:PORT"; "" when it has not said so yet.
std::string announced_address(const std::string& output) {
  constexpr std::string_view kWords = "listening on ";
  const std::size_t begin = output.find(kWords);
  if (begin == std::string::npos) return "";
  const std::size_t end = output.find('\n', begin);
  if (end == std::string::npos) return "";
  return output.substr(begin + kWords.size(), end - begin - kWords.size());
}

// How a client on this machine reaches a server that listens on every address.
std::string reachable(const std::string& address) {
  for (const std::string_view any : {"0.0.0.0:", "[::]:"}) {
    if (address.rfind(any, 0) == 0) return "127.0.0.1:" + address.substr(any.size());
  }
  return address;
}

}  // namespace

LocalCluster::LocalCluster(const Session& session, LocalClusterOptions options)
    : session_(session),
      options_(std::move(options)),
      first_(session.environment.interrupts.first()),
      second_(session.environment.interrupts.second()) {}

LocalCluster::~LocalCluster() {
  if (lock_ >= 0) ::close(lock_);
}

int LocalCluster::run() {
  absl::Status status = prepare();
  if (status.ok()) status = start_server();
  if (status.ok()) status = start_workers();
  if (status.ok()) status = wait_until_ready();
  if (status.ok()) status = publish_address();
  if (status.ok()) {
    print_summary();
    supervise();
  }
  stop();
  if (first_.stop_requested()) return kExitOk;  // that is how it is meant to end
  return session_.fail(status);
}

void LocalCluster::say(const std::string& line) const {
  session_.out() << line << '\n' << std::flush;
}

absl::Status LocalCluster::choose_http() {
  if (options_.http) {
    http_ = *options_.http;
  } else {
    // Of two clusters on one machine each has its own, as long as they do not sit side by side.
    const int port = listen_.port == 0 || listen_.port == 65'535 ? 0 : listen_.port + 1;
    const std::size_t colon = options_.address.rfind(':');
    http_ = fmt::format("{}:{}", options_.address.substr(0, colon), port);
  }
  if (http_.empty()) return absl::OkStatus();
  HostPort wanted;
  LCTL_RETURN_IF_ERROR(with_context(parse_host_port(http_, wanted), "--http"));
  const absl::Status free = check_port_free(wanted);
  if (free.ok()) return free;
  const std::string who = who_listens(wanted.port);
  return absl::AlreadyExistsError(
      fmt::format("{}{}; choose another address for HTTP with --http, or none with --http \"\"",
                  message_of(free), who.empty() ? "" : " by " + printable(who)));
}

absl::Status LocalCluster::prepare() {
  LCTL_RETURN_IF_ERROR(parse_host_port(options_.address, listen_));
  std::error_code error;
  fs::create_directories(options_.data_dir, error);
  if (error) {
    return absl::FailedPreconditionError(
        fmt::format("cannot make the data folder {}: {}", options_.data_dir, error.message()));
  }
  LCTL_RETURN_IF_ERROR(lock_data_dir());
  LCTL_RETURN_IF_ERROR(check_address());
  LCTL_RETURN_IF_ERROR(choose_http());
  // Ranks whose worker was killed come to this process, which can then end them.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);

  const VariableLookup& variable = session_.environment.variable;
  LCTL_ASSIGN_OR_RETURN(const std::string server, find_program(kServerProgram, variable));
  LCTL_ASSIGN_OR_RETURN(const std::string worker, find_program(kWorkerProgram, variable));
  LCTL_ASSIGN_OR_RETURN(const std::string keeper, find_program(kKeeperProgram, variable));
  LCTL_ASSIGN_OR_RETURN(const std::string trainer, find_program(kTrainerProgram, variable));
  const auto folder = [&](const std::string& name) {
    const fs::path path = fs::path(options_.data_dir) / name;
    std::error_code ignored;  // the daemon says so when it cannot use the folder
    fs::create_directories(path, ignored);
    return path.string();
  };
  const std::string server_dir = folder("server");
  std::vector<std::string> command = {server,       "--listen",         options_.address,
                                      "--data-dir", server_dir,         "--http",
                                      http_,        "--die-with-parent"};
  members_.push_back(
      {.daemon = Daemon({.name = "server", .command = command, .log_path = server_dir + ".log"})});
  const std::vector<int> cores = usable_cores();
  for (int i = 0; i < options_.workers; ++i) {
    const std::string name = fmt::format("worker-{}", i + 1);
    const std::string dir = folder(name);
    const std::vector<int> share = share_of_cores(cores, i, options_.workers);
    const bool own = static_cast<int>(cores.size()) >= options_.workers;
    const int slots = options_.slots > 0 ? options_.slots
                      : own              ? static_cast<int>(share.size())
                                         : 1;
    command = {worker,
               "--name",
               name,
               "--data-dir",
               dir,
               "--cpu-slots",
               std::to_string(slots),
               "--trainer",
               trainer,
               "--keeper",
               keeper,
               "--die-with-parent",
               "--stop-ranks-on-exit"};
    members_.push_back({.daemon = Daemon({.name = name,
                                          .command = command,
                                          .log_path = dir + ".log",
                                          .cores = own ? share : std::vector<int>()})});
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::lock_data_dir() {
  const std::string path = options_.data_dir + "/up.lock";
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) return errno_status(errno, fmt::format("cannot write {}", path));
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    std::string address;
    std::ifstream(options_.data_dir + "/address") >> address;
    return absl::FailedPreconditionError(fmt::format(
        "another `lctl up` uses the data folder {}{}; end it with Ctrl-C in its terminal, or "
        "choose another folder with --data-dir",
        options_.data_dir,
        address.empty() ? "" : fmt::format(" (its server is at {})", printable(address))));
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::check_address() {
  const absl::Status free = check_port_free(listen_);
  if (free.ok()) return free;
  constexpr std::string_view kAdvice =
      "choose another address with --address; 127.0.0.1:0 takes any free port";
  client::ClientOptions quick = session_.environment.client_options;
  quick.call_timeout = std::chrono::seconds(1);
  quick.first_patience = {};
  auto client = client::Client::connect(reachable(options_.address), quick);
  if (client.ok()) {
    if (const auto info = client->server_info(); info.ok()) {
      return absl::AlreadyExistsError(fmt::format(
          "{}: an lctl-server {} listens there, with the data folder {}. Use it as it is (`lctl "
          "status`), stop it first, or {}",
          message_of(free), printable(info->version()), printable(info->data_dir()), kAdvice));
    }
  }
  const std::string who = who_listens(listen_.port);
  return absl::AlreadyExistsError(fmt::format("{}{}; stop that, or {}", message_of(free),
                                              who.empty() ? "" : " by " + printable(who), kAdvice));
}

absl::Status LocalCluster::start(Member& member) {
  member.restart_at.reset();
  member.started = session_.environment.clock.monotonic_now();
  return member.daemon.start();
}

bool LocalCluster::pause(const std::stop_token& stop) const {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait_for(lock, stop, kTick, [] { return false; });
  return !stop.stop_requested();
}

absl::Status LocalCluster::start_server() {
  Member& server = members_.front();
  LCTL_RETURN_IF_ERROR(start(server));
  const Clock& clock = session_.environment.clock;
  while (clock.monotonic_now() - server.started < kStartLimit) {
    // Looked for first: a server that said so and then crashed is restarted like any other.
    std::string announced = announced_address(server.daemon.output());
    if (!announced.empty()) {
      // From now on the same port, also when it is started again.
      server.daemon.command()[2] = announced;
      address_ = reachable(announced);
      return absl::OkStatus();
    }
    reap();
    if (!server.daemon.running()) {
      return absl::AbortedError(fmt::format("the server did not start ({}):{}",
                                            server.daemon.last_end(),
                                            indented(server.daemon.last_output(kLinesShown))));
    }
    if (!pause(first_)) return absl::CancelledError("interrupted");
  }
  return absl::DeadlineExceededError(fmt::format("the server does not listen after {}; its log: {}",
                                                 human_duration(kStartLimit),
                                                 server.daemon.log_path()));
}

absl::Status LocalCluster::start_workers() {
  for (std::size_t i = 1; i < members_.size(); ++i) {
    std::vector<std::string>& command = members_[i].daemon.command();
    command.insert(command.begin() + 1, {"--server", address_});
    LCTL_RETURN_IF_ERROR(start(members_[i]));
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::wait_until_ready() {
  LCTL_ASSIGN_OR_RETURN(client::Client client,
                        client::Client::connect(address_, session_.environment.client_options));
  const Clock& clock = session_.environment.clock;
  const MonotonicTime begin = clock.monotonic_now();
  for (;;) {
    reap();
    for (const Member& member : members_) {
      if (member.daemon.running()) continue;
      return absl::AbortedError(fmt::format("{} did not start ({}):{}", member.daemon.name(),
                                            member.daemon.last_end(),
                                            indented(member.daemon.last_output(kLinesShown))));
    }
    const auto nodes = client.nodes();
    std::string missing;
    for (std::size_t i = 1; i < members_.size(); ++i) {
      bool ready = false;
      if (nodes.ok()) {
        for (const v1::Node& node : *nodes) {
          ready |= node.name() == members_[i].daemon.name() && node.state() == v1::NODE_STATE_READY;
        }
      }
      if (!ready) missing += (missing.empty() ? "" : ", ") + members_[i].daemon.name();
    }
    if (nodes.ok() && missing.empty()) return absl::OkStatus();
    if (clock.monotonic_now() - begin > kStartLimit) {
      return absl::DeadlineExceededError(
          fmt::format("not ready after {}: {}; the logs are in {}", human_duration(kStartLimit),
                      missing.empty() ? "the server" : missing, options_.data_dir));
    }
    if (!pause(first_)) return absl::CancelledError("interrupted");
  }
}

absl::Status LocalCluster::publish_address() {
  // Appears whole: scripts wait for the file and read it at once.
  const std::string path = options_.data_dir + "/address";
  const std::string draft = path + ".part";
  std::ofstream out(draft, std::ios::trunc);
  out << address_ << '\n';
  out.close();
  if (!out || ::rename(draft.c_str(), path.c_str()) != 0) {
    return errno_status(errno, fmt::format("cannot write {}", path));
  }
  published_ = true;
  return absl::OkStatus();
}

void LocalCluster::print_summary() {
  const Look& look = session_.look();
  const auto value_after = [](Daemon& daemon, std::string_view option) -> std::string {
    const auto& command = daemon.command();
    for (std::size_t i = 0; i + 1 < command.size(); ++i) {
      if (command[i] == option) return command[i + 1];
    }
    return "";
  };
  say(look.paint(Tone::kGood, "lctl is up") + " at " + look.paint(Tone::kBold, address_));
  for (Member& member : members_) {
    Daemon& daemon = member.daemon;
    const std::string slots = value_after(daemon, "--cpu-slots");
    say(fmt::format("  {}  process {:<8}  {}log {}", pad(daemon.name(), 9), daemon.pid(),
                    slots.empty() ? "" : pad(slots + (slots == "1" ? " slot" : " slots"), 10),
                    daemon.log_path()));
  }
  const std::string server =
      address_ == client::kDefaultAddress ? "" : fmt::format("export LCTL_SERVER={}\n  ", address_);
  say(fmt::format(
      "Try next, in another terminal:\n  {}lctl submit --follow FILE\n  lctl status\nCtrl-C stops "
      "everything; the jobs and their data stay in {}.",
      server, options_.data_dir));
}

void LocalCluster::reap() {
  int wait_status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &wait_status, WNOHANG)) > 0;) {
    for (Member& member : members_) {
      if (member.daemon.pid() != pid) continue;
      member.daemon.ended(wait_status);
      if (!supervising_) continue;
      const MonotonicTime now = session_.environment.clock.monotonic_now();
      const Duration delay = member.delay.after(now - member.started);
      member.restart_at = now + delay;
      say(fmt::format("{} ended ({}); starting it again in {}. Its last words:{}",
                      session_.look().paint(Tone::kBad, member.daemon.name()),
                      member.daemon.last_end(), human_duration(delay),
                      indented(member.daemon.last_output(kLinesShown))));
    }
  }
}

void LocalCluster::restart_due() {
  const MonotonicTime now = session_.environment.clock.monotonic_now();
  for (Member& member : members_) {
    if (!member.restart_at || now < *member.restart_at) continue;
    if (const absl::Status status = start(member); !status.ok()) {
      const Duration delay = member.delay.after({});
      member.restart_at = now + delay;
      say(fmt::format("{}; trying again in {}", message_of(status), human_duration(delay)));
      continue;
    }
    say(fmt::format("{} runs again (process {})",
                    session_.look().paint(Tone::kGood, member.daemon.name()), member.daemon.pid()));
  }
}

void LocalCluster::supervise() {
  supervising_ = true;
  while (pause(first_)) {
    reap();
    restart_due();
  }
  supervising_ = false;
}

void LocalCluster::await_end(const std::vector<Member*>& members, Duration limit) {
  const Clock& clock = session_.environment.clock;
  const MonotonicTime begin = clock.monotonic_now();
  for (;;) {
    reap();
    bool running = false;
    for (const Member* member : members) running |= member->daemon.running();
    if (!running) return;
    if (second_.stop_requested() || clock.monotonic_now() - begin > limit) {
      for (Member* member : members) member->daemon.signal(SIGKILL);
    }
    pause(second_.stop_requested() ? std::stop_token() : second_);
  }
}

void LocalCluster::stop() {
  if (members_.empty()) return;
  std::vector<Member*> workers;
  bool any = false;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    any |= members_[i].daemon.running();
    if (i > 0) workers.push_back(&members_[i]);
  }
  if (any && published_) {
    say("\nStopping: running ranks write a checkpoint first (Ctrl-C again kills them)");
  }
  if (published_) ::unlink((options_.data_dir + "/address").c_str());
  for (Member* worker : workers) worker->daemon.signal(SIGTERM);
  await_end(workers, kWorkersEndLimit);
  members_.front().daemon.signal(SIGTERM);
  await_end({&members_.front()}, kServerEndLimit);
  // Ranks of a worker that was killed, if any.
  const int killed = kill_all_children();
  if (killed > 0) say(fmt::format("killed {}", counted(killed, "rank process", "rank processes")));
  if (any && published_) say("Stopped.");
}

}  // namespace lctl::cli
