#include "worker/agent/launch_work.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "base/log.h"
#include "worker/agent/checkpoint_transfer.h"
#include "worker/agent/node_identity.h"
#include "worker/agent/rank_environment.h"

namespace lctl::agent {
namespace {

constexpr int kDownloadTries = 3;

absl::Status check_program(const std::filesystem::path& program, const char* what) {
  if (access(program.c_str(), X_OK) == 0) return absl::OkStatus();
  return absl::NotFoundError(fmt::format("{} cannot be run at {}; is it installed? (lctl-worker --trainer)", what,
                                         program.string()));
}

absl::Status fetch_resume_checkpoint(const v1::Launch& launch, const RunFolder& folder, const LaunchTools& tools) {
  absl::Status status;
  for (int i = 0; i < kDownloadTries; ++i) {
    status = download_checkpoint(tools.channel, launch.resume_checkpoint_id(), folder.resume_checkpoint());
    if (status.ok() || absl::IsNotFound(status) || absl::IsResourceExhausted(status)) break;
    logger("launch").warn("{}.{}: {}", launch.job_id(), launch.attempt(), message_of(status));
  }
  return status;
}

// Kills what a half-done launch has started.
void kill_all(const Launched& launched) {
  for (const auto& [rank, process] : launched.ranks) {
    if (const auto keeper = open_process(process.keeper, process.keeper_start); keeper.ok()) {
      signal_process(*keeper, SIGUSR1).IgnoreError();
    }
  }
}

}  // namespace

absl::StatusOr<Launched> launch_ranks(const v1::Launch& launch, const RunFolder& folder, const LaunchTools& tools,
                                      const std::function<void(int port)>& on_port) {
  LCTL_RETURN_IF_ERROR(check_program(tools.trainer, "the trainer"));
  LCTL_RETURN_IF_ERROR(check_program(tools.keeper, "lctl-keeper"));
  LCTL_RETURN_IF_ERROR(folder.create(launch, tools.boot_id));

  RankPlace place;
  place.master_address = launch.rendezvous().address();
  place.master_port = launch.rendezvous().port();
  place.local_world_size = launch.ranks_size();
  place.node_cpus = tools.cpus;
  RendezvousSocket socket;
  if (launch.rendezvous().bind()) {
    LCTL_ASSIGN_OR_RETURN(socket, open_rendezvous_socket(is_loopback(tools.address)));
    place.master_address = tools.address;
    place.master_port = socket.port;
    on_port(socket.port);
  }
  if (!launch.resume_checkpoint_id().empty()) {
    LCTL_RETURN_IF_ERROR(fetch_resume_checkpoint(launch, folder, tools));
    place.resume_file = folder.resume_checkpoint();
  }

  Launched launched;
  for (const v1::RankAssignment& rank : launch.ranks()) {
    place.rendezvous_fd = rank.rank() == 0 && socket.fd.valid() ? socket.fd.get() : -1;
    place.rank_folder = folder.rank(rank.rank());
    KeeperCommand command;
    command.keeper = tools.keeper;
    command.rank_folder = place.rank_folder;
    command.work_folder = folder.work();
    command.command = {tools.trainer.string(), "fit", "--config", folder.config().string()};
    command.environment = rank_environment(launch, rank, place, inherited_environment());
    command.passed_fd = place.rendezvous_fd;
    absl::StatusOr<RankProcess> process = start_keeper(command);
    if (!process.ok()) {
      kill_all(launched);
      return std::move(process).status();
    }
    launched.ranks.emplace(rank.rank(), *process);
  }
  return launched;
}

bool is_permanent(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsPermissionDenied(status) || absl::IsInvalidArgument(status);
}

}  // namespace lctl::agent
