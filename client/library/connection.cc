#include "client/library/connection.h"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <thread>
#include <utility>

namespace lctl::client {
namespace {

// Answers that carry a whole list (points of a metric, thousands of jobs) may be large; a server
// that sends more than this is broken.
constexpr int kMaxMessageBytes = 256 << 20;

// How long a stop token may go unnoticed while waiting.
constexpr std::chrono::milliseconds kWaitStep{50};

std::shared_ptr<grpc::Channel> make_channel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // A server that restarts is back within seconds: look again soon, not after gRPC's minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  // Despite its name: how long one try to connect may take. A busy server is not a missing one.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 10'000);
  // A proxy from the environment is for the web, not for the coordinator.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Several clients of one process (tests, `up`) must not share a connection and its back-off.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// gRPC's own text for a connection that is not there holds file names, addresses and nested
// reasons. Returns the part that says something; "" when the text is not gRPC's but the server's.
std::string transport_detail(const std::string& text) {
  for (const char* reason :
       {"connection refused", "no route to host", "network is unreachable", "connection reset",
        "connection timed out", "broken pipe", "name or service not known", "socket closed",
        "DNS resolution failed"}) {
    const auto found =
        std::search(text.begin(), text.end(), reason,
                    reason + std::char_traits<char>::length(reason), [](char a, char b) {
                      return std::tolower(static_cast<unsigned char>(a)) ==
                             std::tolower(static_cast<unsigned char>(b));
                    });
    if (found != text.end()) return reason;
  }
  if (text.find("failed to connect") != std::string::npos) return "nothing answers there";
  for (const char* sign : {"Endpoint closing", "GOAWAY", "keepalive", "RST_STREAM",
                           "Stream removed", "transport", "recvmsg", "Cancelling"}) {
    if (text.find(sign) != std::string::npos) return "the connection broke";
  }
  return "";
}

}  // namespace

std::string unreachable_text(const std::string& address, std::string_view detail) {
  return fmt::format(
      "cannot reach lctl-server at {}: {}; start one with `lctl up` or set --server / LCTL_SERVER",
      address, detail);
}

std::string loss_text(const grpc::Status& status) {
  if (status.ok()) return "it ended the stream";
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) return "it does not answer";
  std::string detail = transport_detail(status.error_message());
  return detail.empty() ? status.error_message() : detail;
}

absl::Status from_grpc(const grpc::Status& status, const std::string& address) {
  if (status.ok()) return absl::OkStatus();
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    const std::string detail = transport_detail(status.error_message());
    return absl::UnavailableError(detail.empty() ? status.error_message()
                                                 : unreachable_text(address, detail));
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::UnavailableError(
        unreachable_text(address, "it did not answer in time (it may be overloaded or stuck)"));
  }
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    return absl::UnimplementedError(fmt::format(
        "the server at {} does not know this call ({}): is it an lctl-server of this version? "
        "`lctl version` shows both",
        address, status.error_message()));
  }
  const std::string text =
      status.error_message().empty() ? "the server gave no reason" : status.error_message();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), text);
}

bool connection_broke(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::CANCELLED:  // the server cancelled its calls while it shut down
      return true;
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::UNKNOWN:  // the transport died under the call, or a real answer
      return !transport_detail(status.error_message()).empty();
    default:
      return false;
  }
}

absl::Status check_address(const std::string& address) {
  const auto refuse = [&](std::string_view why) {
    return absl::InvalidArgumentError(
        fmt::format("`{}` is no server address: {}; expected HOST:PORT, such as {}", address, why,
                    kDefaultAddress));
  };
  if (address.size() > 512) return refuse("it is longer than 512 bytes");
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return refuse("it has no port");
  if (colon == 0) return refuse("it has no host");
  if (address.find("://") != std::string::npos) return refuse("it is a URL");
  const char* first = address.data() + colon + 1;
  const char* last = address.data() + address.size();
  int port = 0;
  const auto [end, error] = std::from_chars(first, last, port);
  if (error != std::errc() || end != last || port < 1 || port > 65535) {
    return refuse("the port is no number from 1 to 65535");
  }
  return absl::OkStatus();
}

bool Backoff::wait(const std::stop_token& stop) {
  // A server that ended the stream itself is not asked again any sooner.
  const bool connected = channel_.GetState(false) == GRPC_CHANNEL_READY;
  const MonotonicTime end = system_clock().monotonic_now() + next_;
  next_ = std::min(next_ * 2, limit_);
  while (!stop.stop_requested()) {
    const Duration left = std::min<Duration>(end - system_clock().monotonic_now(), kWaitStep);
    if (left <= Duration::zero()) return true;
    if (connected) {
      std::this_thread::sleep_for(left);
    } else if (channel_.WaitForConnected(
                   std::chrono::time_point_cast<std::chrono::system_clock::duration>(
                       system_clock().wall_now() + left))) {
      return true;
    }
  }
  return false;
}

Client::Connection::Connection(std::string address_in, ClientOptions options_in)
    : address(std::move(address_in)),
      options(options_in),
      channel(make_channel(address)),
      jobs(v1::Jobs::NewStub(channel)),
      cluster(v1::Cluster::NewStub(channel)),
      experiments(v1::Experiments::NewStub(channel)),
      checkpoints(v1::Checkpoints::NewStub(channel)),
      admin(v1::Admin::NewStub(channel)) {}

void Client::Connection::set_deadline(grpc::ClientContext& context, Duration from_now) {
  context.set_deadline(std::chrono::time_point_cast<std::chrono::system_clock::duration>(
      system_clock().wall_now() + from_now));
}

bool Client::Connection::out_of_patience(MonotonicTime started) const {
  const Duration patience = reached ? options.patience : options.first_patience;
  return system_clock().monotonic_now() - started >= patience;
}

}  // namespace lctl::client
