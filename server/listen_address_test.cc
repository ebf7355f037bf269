#include "server/listen_address.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::server {
namespace {

using ::testing::HasSubstr;

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
