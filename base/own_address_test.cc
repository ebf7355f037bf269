#include "base/own_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lctl {
namespace {

using ::testing::AnyOf;

TEST(OwnAddressTest, LoopbackIsReachedFromLoopback) {
  EXPECT_EQ(own_address_towards("127.0.0.1"), "127.0.0.1");
  EXPECT_THAT(own_address_towards("::1"), AnyOf("::1", ""));  // "" on a machine without IPv6
}

TEST(OwnAddressTest, UnknownHostHasNone) {
  EXPECT_EQ(own_address_towards("no.such.host.invalid"), "");
  EXPECT_EQ(own_address_towards("not an address"), "");
}

}  // namespace
}  // namespace lctl
