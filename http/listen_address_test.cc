#include "http/listen_address.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::http {
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

}  // namespace
}  // namespace lctl::http
