#include "worker/agent/rank_environment.h"

#include <algorithm>
#include <array>
#include <string_view>

extern char** environ;

namespace lctl::agent {
namespace {

// What systemd tells the daemon about the daemon.
constexpr std::array<std::string_view, 11> kDaemonsOwn = {
    "NOTIFY_SOCKET",    "WATCHDOG_USEC",   "WATCHDOG_PID",   "INVOCATION_ID",
    "JOURNAL_STREAM",   "LISTEN_FDS",      "LISTEN_FDNAMES", "LISTEN_PID",
    "SYSTEMD_EXEC_PID", "STATE_DIRECTORY", "CACHE_DIRECTORY"};

bool belongs_to_daemon(std::string_view name) {
  // Where this node keeps fetched files, and how many bytes of them.
  if (name == "LCTL_DATA_CACHE" || name == "LCTL_DATA_CACHE_SIZE") return false;
  return name.rfind("LCTL_", 0) == 0 ||
         std::find(kDaemonsOwn.begin(), kDaemonsOwn.end(), name) != kDaemonsOwn.end();
}

// "0:12,0:13"
std::string places_of(const google::protobuf::RepeatedPtrField<v1::BatchPlace>& batches) {
  std::string text;
  for (const v1::BatchPlace& place : batches) {
    if (!text.empty()) text += ',';
    text += std::to_string(place.epoch()) + ':' + std::to_string(place.batch());
  }
  return text;
}

}  // namespace

Environment rank_environment(const v1::Launch& launch, const v1::RankAssignment& rank,
                             const RankPlace& place, Environment inherited) {
  const v1::JobSpec& spec = launch.spec();
  Environment result = std::move(inherited);
  for (const auto& [name, value] : spec.environment()) {
    if (name.rfind("LCTL_", 0) != 0) result[name] = value;
  }

  const int per_rank = spec.resources().cpus_per_rank();
  const std::string threads = std::to_string(
      per_rank > 0 ? per_rank : std::max(1, place.node_cpus / std::max(1, place.local_world_size)));
  for (const char* name : {"OMP_NUM_THREADS", "MKL_NUM_THREADS"}) {
    if (spec.environment().count(name) == 0) result[name] = threads;
  }

  // For some tens of microseconds, not GNU OpenMP's milliseconds, do threads spin that wait for
  // others: on a machine that has other work too, spinning keeps those from running.
  if (!result.contains("OMP_WAIT_POLICY")) result.try_emplace("GOMP_SPINCOUNT", "1000");

  result["RANK"] = std::to_string(rank.rank());
  result["LOCAL_RANK"] = std::to_string(rank.local_rank());
  result["WORLD_SIZE"] = std::to_string(launch.world_size());
  result["LOCAL_WORLD_SIZE"] = std::to_string(place.local_world_size);
  result["GROUP_RANK"] = std::to_string(launch.node_rank());
  result["MASTER_ADDR"] = place.master_address;
  result["MASTER_PORT"] = std::to_string(place.master_port);
  result["LCTL_JOB_ID"] = launch.job_id();
  result["LCTL_ATTEMPT"] = std::to_string(launch.attempt());
  result["LCTL_JOB_NAME"] = spec.name();
  result["LCTL_SPOOL"] = (place.rank_folder / "events.log").string();
  result["LCTL_PULSE"] = (place.rank_folder / "pulse").string();
  result["LCTL_STAGE"] = (place.rank_folder / "stage").string();
  result["LCTL_CHECKPOINT_EVERY_MS"] = std::to_string(spec.checkpoint_every_ms());
  result["LCTL_DEVICE"] = rank.device_kind() == "cuda"
                              ? "cuda:" + std::to_string(rank.device_index())
                              : std::string("cpu");
  // CUDA's own order is by speed; device indexes here are the driver's.
  if (rank.device_kind() == "cuda") result["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID";
  if (place.rendezvous_fd >= 0) result["LCTL_RENDEZVOUS_FD"] = std::to_string(place.rendezvous_fd);
  if (!place.resume_file.empty()) result["LCTL_RESUME_CKPT"] = place.resume_file.string();
  if (const std::string skip = places_of(launch.skip_batches()); !skip.empty()) {
    result["LCTL_SKIP_BATCHES"] = skip;
  }
  return result;
}

Environment inherited_environment() {
  Environment result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || belongs_to_daemon(text.substr(0, equals))) continue;
    result.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return result;
}

}  // namespace lctl::agent
