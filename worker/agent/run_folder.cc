#include "worker/agent/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <system_error>

#include "worker/agent/small_file.h"

namespace lctl::agent {
namespace {

absl::Status make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return errno_status(error.value(), fmt::format("creating {}", folder.string()));
  return absl::OkStatus();
}

}  // namespace

std::optional<RankProcess> parse_process(const std::string& text) {
  long keeper = 0;
  long rank = 0;
  RankProcess process;
  if (std::sscanf(text.c_str(), "%ld %llu %ld %llu", &keeper, &process.keeper_start, &rank,
                  &process.rank_start) != 4 ||
      keeper <= 0 || rank <= 0) {
    return std::nullopt;
  }
  process.keeper = static_cast<pid_t>(keeper);
  process.rank = static_cast<pid_t>(rank);
  return process;
}

std::optional<RankExit> parse_exit(const std::string& text) {
  RankExit exit;
  long long lease_ms = 0;
  if (std::sscanf(text.c_str(), "exit %d lease %lld", &exit.number, &lease_ms) >= 1) {
    if (exit.number < 0 || exit.number > 255) return std::nullopt;
  } else if (std::sscanf(text.c_str(), "signal %d lease %lld", &exit.number, &lease_ms) >= 1) {
    if (exit.number < 1 || exit.number > 64) return std::nullopt;
    exit.signaled = true;
  } else {
    return std::nullopt;
  }
  exit.lease_ms = std::max(0LL, lease_ms);
  return exit;
}

std::optional<RankOffsets> parse_offsets(const std::string& text) {
  unsigned long long events = 0;
  unsigned long long out = 0;
  unsigned long long err = 0;
  unsigned long long node = 0;
  // The last one is younger than the others.
  if (std::sscanf(text.c_str(), "events %llu stdout %llu stderr %llu node %llu", &events, &out,
                  &err, &node) < 3) {
    return std::nullopt;
  }
  return RankOffsets{events, out, err, node};
}

std::map<int, std::string> parse_log_matches(const std::string& text) {
  std::map<int, std::string> matches;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line) && !in.eof();) {
    int policy = -1;
    const char* end = line.data() + line.size();
    const auto [stop, failure] = std::from_chars(line.data(), end, policy);
    if (failure != std::errc() || policy < 0 || stop == end || *stop != ' ') continue;
    matches.emplace(policy, std::string(stop + 1, end));
  }
  return matches;
}

RunFolder::RunFolder(const std::filesystem::path& data_dir, const AttemptId& attempt)
    : path_(data_dir / "runs" / attempt.str()) {}

absl::Status RunFolder::create(const v1::Launch& launch, const std::string& boot_id) const {
  LCTL_RETURN_IF_ERROR(make_folder(work()));
  for (const v1::RankAssignment& each : launch.ranks()) {
    LCTL_RETURN_IF_ERROR(make_folder(stage(each.rank())));
  }
  LCTL_RETURN_IF_ERROR(write_small_file(config(), launch.spec().config_yaml()));
  LCTL_RETURN_IF_ERROR(write_small_file(path_ / "boot_id", boot_id));
  // Last: its presence says that the folder is complete.
  return write_small_file(path_ / "launch.pb", launch.SerializeAsString());
}

absl::StatusOr<v1::Launch> RunFolder::load(std::string* boot_id) const {
  v1::Launch launch;
  const std::string bytes = read_small_file(path_ / "launch.pb");
  if (bytes.empty() || !launch.ParseFromString(bytes)) {
    return absl::NotFoundError(fmt::format("{} holds no complete launch", path_.string()));
  }
  *boot_id = read_small_file(path_ / "boot_id");
  return launch;
}

void RunFolder::remove() const {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::optional<RankProcess> RunFolder::process(int r) const {
  return parse_process(read_small_file(rank(r) / "process"));
}
std::optional<RankExit> RunFolder::exit(int r) const {
  return parse_exit(read_small_file(rank(r) / "exit"));
}

std::optional<RankProcess> RunFolder::give_up(int r) const {
  const std::filesystem::path file = rank(r) / "process";
  const std::filesystem::path none = rank(r) / "process.none";
  if (write_small_file(none, "none\n").ok()) {
    // A link, unlike a rename, never replaces what is there.
    [[maybe_unused]] const int refused = link(none.c_str(), file.c_str());
    unlink(none.c_str());
  }
  return process(r);
}

int RunFolder::rendezvous_port() const {
  return std::atoi(read_small_file(path_ / "rendezvous_port").c_str());
}

absl::Status RunFolder::save_rendezvous_port(int port) const {
  return write_small_file(path_ / "rendezvous_port", fmt::format("{}\n", port));
}

RankOffsets RunFolder::offsets(int r) const {
  return parse_offsets(read_small_file(rank(r) / "offsets")).value_or(RankOffsets{});
}

absl::Status RunFolder::save_offsets(int r, const RankOffsets& offsets) const {
  return write_small_file(rank(r) / "offsets",
                          fmt::format("events {} stdout {} stderr {} node {}\n", offsets.events,
                                      offsets.out, offsets.err, offsets.node));
}

std::map<int, std::string> RunFolder::log_matches(int r) const {
  return parse_log_matches(read_small_file(rank(r) / "log_matches"));
}

absl::Status RunFolder::save_log_matches(int r, const std::map<int, std::string>& matches) const {
  std::string text;
  for (const auto& [policy, line] : matches) text += fmt::format("{} {}\n", policy, line);
  return write_small_file(rank(r) / "log_matches", text);
}

absl::Status RunFolder::add_note(int r, const std::string& text) const {
  const std::filesystem::path file = rank(r) / "stderr";
  const int fd = open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return errno_status(errno, fmt::format("opening {}", file.string()));
  const std::string line = "lctl-worker: " + text + "\n";
  const ssize_t written = write(fd, line.data(), line.size());
  const int error = written < 0 ? errno : ENOSPC;
  close(fd);
  if (written == static_cast<ssize_t>(line.size())) return absl::OkStatus();
  return errno_status(error, fmt::format("writing {}", file.string()));
}

std::vector<AttemptId> RunFolder::list(const std::filesystem::path& data_dir) {
  std::vector<AttemptId> attempts;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(data_dir / "runs", error)) {
    const std::string name = entry.path().filename().string();
    const std::size_t dot = name.rfind('.');
    if (dot == std::string::npos || dot == 0) continue;
    AttemptId attempt{JobId(name.substr(0, dot)), 0};
    const char* end = name.data() + name.size();
    const auto [stop, failure] = std::from_chars(name.data() + dot + 1, end, attempt.number);
    if (failure == std::errc() && stop == end && attempt.number > 0) attempts.push_back(attempt);
  }
  return attempts;
}

absl::Status write_small_file(const std::filesystem::path& file, const std::string& content) {
  const std::string temporary = file.string() + ".tmp";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return errno_status(errno, fmt::format("creating {}", temporary));
  std::size_t done = 0;
  int error = 0;
  while (done < content.size() && error == 0) {
    const ssize_t got = write(fd, content.data() + done, content.size() - done);
    if (got < 0 && errno != EINTR) error = errno;
    if (got > 0) done += static_cast<std::size_t>(got);
  }
  close(fd);
  if (error == 0 && rename(temporary.c_str(), file.c_str()) != 0) error = errno;
  if (error != 0) return errno_status(error, fmt::format("writing {}", file.string()));
  return absl::OkStatus();
}

unsigned long long process_start_time(pid_t pid) {
  const std::string stat = read_small_file(fmt::format("/proc/{}/stat", pid));
  // Fields are counted behind the name, which may hold anything.
  std::size_t at = stat.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = stat.find(' ', at + 1);
  if (at == std::string::npos) return 0;
  unsigned long long start = 0;
  std::sscanf(stat.c_str() + at, "%llu", &start);
  return start;
}

std::string kernel_boot_id() {
  std::string id = read_small_file("/proc/sys/kernel/random/boot_id");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

}  // namespace lctl::agent
