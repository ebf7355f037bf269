// What a drill does to a rank of this node, or to the node's connection. Part of Agent.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>

#include "base/log.h"
#include "worker/agent/agent.h"

namespace lctl::agent {
namespace {

constexpr std::int64_t kLongestMs = 600'000;

spdlog::logger& log() {
  static spdlog::logger& own = logger("drill");
  return own;
}

}  // namespace

void Agent::on_fault(const v1::InjectFault& fault) {
  const AttemptId id{JobId(fault.job_id()), fault.attempt()};
  const Rank* rank = find(id, fault.rank());
  if (rank == nullptr || !rank->keeper.has_value()) {
    log().warn("{} rank {}: a drill came too late: it does not run here", id.str(), fault.rank());
    return;
  }
  const std::chrono::milliseconds duration(
      std::clamp<std::int64_t>(fault.duration_ms(), 0, kLongestMs));
  switch (fault.kind()) {
    case v1::FAULT_KIND_KILL_RANK:
    case v1::FAULT_KIND_CORRUPT_CHECKPOINT:
      log().warn("{} rank {}: killed by a drill", id.str(), fault.rank());
      signal_rank(rank->process, SIGKILL);
      return;
    case v1::FAULT_KIND_HANG:
      log().warn("{} rank {}: stopped by a drill for {} ms", id.str(), fault.rank(),
                 duration.count());
      signal_rank(rank->process, SIGSTOP);
      continue_after(rank->process, duration);
      return;
    case v1::FAULT_KIND_PARTITION:
      log().warn("a drill cuts this node off from its server for {} ms", duration.count());
      partition_->cancel_for(duration);
      return;
    default:
      return;  // of a newer server
  }
}

// Its pid may have been given to somebody else by now: the start time tells.
void Agent::signal_rank(const RankProcess& process, int signal) {
  const absl::StatusOr<Descriptor> alive = open_process(process.rank, process.rank_start);
  if (alive.ok()) signal_process(*alive, signal).IgnoreError();
}

void Agent::continue_after(const RankProcess& process, Duration duration) {
  const auto timer = std::make_shared<boost::asio::steady_timer>(io_, duration);
  timer->async_wait(
      [this, timer, process](const boost::system::error_code&) { signal_rank(process, SIGCONT); });
}

}  // namespace lctl::agent
