#include "worker/agent/server_probe.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

#include "base/descriptor.h"

namespace lctl::agent {
namespace {

// 0, or why there is no connection.
int try_to_connect(const addrinfo& address, Duration patience) {
  const Descriptor socket(
      ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return errno;
  if (connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd done = {.fd = socket.get(), .events = POLLOUT, .revents = 0};
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
  if (poll(&done, 1, static_cast<int>(ms)) <= 0) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

}  // namespace

ServerAnswer probe_server(const std::string& server, Duration patience) {
  const std::size_t colon = server.rfind(':');
  if (colon == std::string::npos) return ServerAnswer::kSilent;
  std::string host = server.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), server.c_str() + colon + 1, &hints, &found) != 0)
    return ServerAnswer::kSilent;
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, freeaddrinfo);
  ServerAnswer answer = ServerAnswer::kSilent;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    const int error = try_to_connect(*each, patience);
    if (error == 0) return ServerAnswer::kAccepts;
    if (error == ECONNREFUSED) answer = ServerAnswer::kRefuses;
  }
  return answer;
}

}  // namespace lctl::agent
