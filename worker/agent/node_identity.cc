#include "worker/agent/node_identity.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "base/own_address.h"
#include "worker/agent/process_start.h"
#include "worker/agent/run_folder.h"

namespace lctl::agent {
namespace {

bool is_node_id(const std::string& text) {
  return text.size() == 16 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567") == std::string::npos;
}

}  // namespace

absl::StatusOr<NodeId> load_or_make_node_id(const std::filesystem::path& data_dir) {
  const std::filesystem::path file = data_dir / "node_id";
  if (std::ifstream in(file); in) {
    std::string text;
    in >> text;
    if (is_node_id(text)) return NodeId(text);
    return absl::DataLossError(fmt::format(
        "{} does not hold a node id; delete it to make this node a new one", file.string()));
  }
  const std::string id = random_id(16);
  LCTL_RETURN_IF_ERROR(write_small_file(file, id + "\n"));
  // A node that comes back under another id after a power cut would look like a second machine.
  const Descriptor written(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!written.valid() || fsync(written.get()) != 0) {
    return errno_status(errno, fmt::format("syncing {}", file.string()));
  }
  return NodeId(id);
}

absl::Status lock_data_dir(const std::filesystem::path& data_dir) {
  std::error_code error;
  std::filesystem::create_directories(data_dir, error);
  if (error) return errno_status(error.value(), fmt::format("creating {}", data_dir.string()));
  const std::filesystem::path file = data_dir / "lock";
  Descriptor lock(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (!lock.valid()) return errno_status(errno, fmt::format("opening {}", file.string()));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    std::ifstream in(file);
    std::string holder;
    in >> holder;
    return absl::UnavailableError(fmt::format(
        "another lctl-worker (pid {}) uses {}; stop it, or give this one its own --data-dir",
        holder.empty() ? "unknown" : holder, data_dir.string()));
  }
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(lock.get(), 0) != 0 ||
      write(lock.get(), pid.data(), pid.size()) != static_cast<ssize_t>(pid.size())) {
    return errno_status(errno, fmt::format("writing {}", file.string()));
  }
  lock.release();  // held until the process ends
  return absl::OkStatus();
}

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return name[0] == '\0' ? "localhost" : name;
}

std::string address_towards(const std::string& server) {
  const std::size_t colon = server.rfind(':');
  std::string host = server.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  const std::string own = own_address_towards(host);
  return own.empty() ? host_name() : own;
}

bool is_loopback(const std::string& address) {
  return address == "localhost" || address == "::1" || address.rfind("127.", 0) == 0;
}

}  // namespace lctl::agent
