#include "worker/agent/server_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "base/descriptor.h"
#include "gtest/gtest.h"

namespace lctl::agent {
namespace {

constexpr Duration kPatience = std::chrono::seconds(10);
constexpr Duration kShort = std::chrono::milliseconds(50);

// A socket on a port that the kernel has chosen, for this test alone.
class Port {
 public:
  Port() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    socklen_t size = sizeof(own_);
    EXPECT_EQ(getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&own_), &size), 0);
  }

  void listen_for(int waiting) { EXPECT_EQ(listen(socket_.get(), waiting), 0); }
  // Connections that nobody accepts, until the kernel takes no more.
  void fill() {
    for (int i = 0; i < 8; ++i) {
      others_.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      connect(others_.back().get(), reinterpret_cast<sockaddr*>(&own_), sizeof(own_));
    }
  }
  std::string number() const { return std::to_string(ntohs(own_.sin_port)); }

 private:
  Descriptor socket_;
  sockaddr_in own_ = {};
  std::vector<Descriptor> others_;
};

TEST(ServerProbeTest, ListeningProgramAccepts) {
  Port port;
  port.listen_for(8);
  EXPECT_EQ(probe_server("127.0.0.1:" + port.number(), kPatience), ServerAnswer::kAccepts);
}

TEST(ServerProbeTest, HostWithoutTheProgramRefuses) {
  const Port port;  // bound, so that nobody else listens there
  EXPECT_EQ(probe_server("127.0.0.1:" + port.number(), kPatience), ServerAnswer::kRefuses);
  EXPECT_EQ(probe_server("localhost:" + port.number(), kPatience), ServerAnswer::kRefuses);
}

TEST(ServerProbeTest, BracketsOfAnIpv6AddressAreTakenOff) {
  EXPECT_NE(probe_server("[::1]:9", kPatience), ServerAnswer::kAccepts);
}

TEST(ServerProbeTest, PacketsThatNobodyAnswersAreSilence) {
  Port port;
  port.listen_for(0);
  port.fill();
  EXPECT_EQ(probe_server("127.0.0.1:" + port.number(), kShort), ServerAnswer::kSilent);
}

TEST(ServerProbeTest, UnknownNameIsSilence) {
  EXPECT_EQ(probe_server("no-such-host.invalid:7070", kShort), ServerAnswer::kSilent);
  EXPECT_EQ(probe_server("nonsense", kShort), ServerAnswer::kSilent);
}

}  // namespace
}  // namespace lctl::agent
