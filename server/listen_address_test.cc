#include "server/listen_address.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::server {
namespace {

using ::testing::HasSubstr;

TEST(ListenAddressTest, HostAndPortAreToldApart) {
  EXPECT_EQ(parse_listen_address("127.0.0.1:7070")->str(), "127.0.0.1:7070");
  EXPECT_EQ(parse_listen_address("[::1]:0")->host, "::1");
  EXPECT_EQ(parse_listen_address("[::1]:0")->str(), "[::1]:0");
  for (const char* bad :
       {"", "host", "host:", ":7070", "host:70000", "host:-1", "host:7x", "::1:70"}) {
    EXPECT_THAT(std::string(message_of(parse_listen_address(bad).status())),
                HasSubstr("expected HOST:PORT"))
        << bad;
  }
}

TEST(ListenAddressTest, OnlyLoopbackWithoutInsecureListen) {
  for (const char* host : {"127.0.0.1", "127.8.9.10", "localhost", "::1"}) {
    EXPECT_TRUE(check_exposure({host, 1}, false).ok()) << host;
  }
  for (const char* host :
       {"0.0.0.0", "10.0.0.1", "::", "128.0.0.1", "gpu-1", "127.0.0.1.example"}) {
    const absl::Status refused = check_exposure({host, 1}, false);
    EXPECT_THAT(std::string(message_of(refused)), HasSubstr("without TLS and login")) << host;
    EXPECT_TRUE(check_exposure({host, 1}, true).ok()) << host;
  }
}

}  // namespace
}  // namespace lctl::server
