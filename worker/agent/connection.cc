#include "worker/agent/connection.h"

#include <grpcpp/create_channel.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace lctl::agent {
namespace {

constexpr std::chrono::milliseconds kStep{100};

}  // namespace

std::shared_ptr<grpc::Channel> make_channel(const std::string& server) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(16 << 20);
  // Pings notice a silent peer within seconds.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  // Despite its name: how long one try to connect may take. A busy or far server needs its time.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments);
}

void pause_between_tries(grpc::Channel& channel, Duration pause,
                         const std::function<bool()>& stopping) {
  // A server that ended the stream itself is not asked again any sooner.
  const bool connected = channel.GetState(false) == GRPC_CHANNEL_READY;
  const MonotonicTime end = system_clock().monotonic_now() + pause;
  while (!stopping()) {
    const Duration left = std::min<Duration>(end - system_clock().monotonic_now(), kStep);
    if (left <= Duration::zero()) return;
    if (connected) {
      std::this_thread::sleep_for(left);
    } else if (channel.WaitForConnected(
                   std::chrono::time_point_cast<std::chrono::system_clock::duration>(
                       system_clock().wall_now() + left))) {
      return;
    }
  }
}

}  // namespace lctl::agent
