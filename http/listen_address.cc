#include "http/listen_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>

namespace lctl::http {

std::string ListenAddress::str() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

absl::StatusOr<ListenAddress> parse_listen_address(const std::string& text) {
  const auto refused = [&](std::string_view why) {
    return absl::InvalidArgumentError(fmt::format(
        "cannot listen on '{}': {}; expected HOST:PORT, as 127.0.0.1:7070 or [::1]:7070", text,
        why));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return refused("there is no port");
  ListenAddress address{.host = text.substr(0, colon)};
  const std::string digits = text.substr(colon + 1);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  if (error != std::errc() || end != digits.data() + digits.size() || address.port < 0 ||
      address.port > 65'535) {
    return refused("the port is not a number from 0 to 65535");
  }
  if (address.host.starts_with('[') && address.host.ends_with(']')) {
    address.host = address.host.substr(1, address.host.size() - 2);
  } else if (address.host.find(':') != std::string::npos) {
    return refused("an IPv6 address needs brackets");
  }
  if (address.host.empty()) return refused("there is no host");
  return address;
}

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace lctl::http
