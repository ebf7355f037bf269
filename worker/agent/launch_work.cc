#include "worker/agent/launch_work.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "worker/agent/download.h"
#include "worker/agent/node_identity.h"
#include "worker/agent/rank_environment.h"

namespace lctl::agent {
namespace {

constexpr int kKillWaitMs = 1000;

absl::Status check_program(const std::filesystem::path& program, const char* what,
                           const char* option) {
  if (access(program.c_str(), X_OK) == 0) return absl::OkStatus();
  return errno_status(errno, fmt::format("{} cannot be run: {}; is it installed? (lctl-worker {})",
                                         what, program.string(), option));
}

// Kills what a half-done launch has started.
void kill_all(const Launched& launched) {
  for (const auto& [rank, process] : launched.ranks) {
    const auto keeper = open_process(process.keeper, process.keeper_start);
    if (!keeper.ok()) continue;
    signal_process(*keeper, SIGUSR1).IgnoreError();
    pollfd ended = {.fd = keeper->get(), .events = POLLIN, .revents = 0};
    poll(&ended, 1, kKillWaitMs);
    waitpid(process.keeper, nullptr, WNOHANG);
  }
}

}  // namespace

absl::StatusOr<Launched> launch_ranks(const v1::Launch& launch, const RunFolder& folder,
                                      const LaunchTools& tools,
                                      const std::function<void(int port)>& on_port,
                                      Cancellation& cancellation) {
  LCTL_RETURN_IF_ERROR(check_program(tools.trainer, "the trainer", "--trainer"));
  LCTL_RETURN_IF_ERROR(check_program(tools.keeper, "lctl-keeper", "--keeper"));
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
    LCTL_RETURN_IF_ERROR(folder.save_rendezvous_port(socket.port));
    on_port(socket.port);
  }
  if (!launch.resume_checkpoint_id().empty()) {
    const Download download{launch.resume_checkpoint_id(), launch.resume_checkpoint_size(),
                            folder.resume_checkpoint(), launch.damage_download()};
    const absl::Status status = download_checkpoint(tools.channel, download, cancellation);
    // That the store lacks it is no fault of this node.
    if (absl::IsNotFound(status)) return absl::FailedPreconditionError(status.message());
    LCTL_RETURN_IF_ERROR(status);
    place.resume_file = folder.resume_checkpoint();
  }

  if (cancellation.cancelled()) return absl::CancelledError("the launch was called off");
  Launched launched;
  for (const v1::RankAssignment& rank : launch.ranks()) {
    place.rendezvous_fd = rank.rank() == 0 && socket.fd.valid() ? socket.fd.get() : -1;
    place.rank_folder = folder.rank(rank.rank());
    KeeperCommand command;
    command.keeper = tools.keeper;
    command.rank_folder = place.rank_folder;
    command.work_folder = folder.work();
    command.lease = tools.lease;
    command.grace_ms = launch.spec().grace_ms();
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
  return absl::IsNotFound(status) || absl::IsPermissionDenied(status) ||
         absl::IsInvalidArgument(status);
}

}  // namespace lctl::agent
