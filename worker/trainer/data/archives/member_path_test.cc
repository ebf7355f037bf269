#include "worker/trainer/data/archives/member_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/trainer/data/bad_sample.h"

namespace lctl::archives {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;
using namespace std::string_literals;

TEST(MemberPathTest, PathsAreTakenApart) {
  EXPECT_THAT(member_path("a"), ElementsAre("a"));
  EXPECT_THAT(member_path("./a//b/./c.jpg"), ElementsAre("a", "b", "c.jpg"));
  EXPECT_THAT(member_path("a/b/"), ElementsAre("a", "b"));
  EXPECT_THAT(member_path("..a/b..c/..."), ElementsAre("..a", "b..c", "..."));
  for (const char* root : {"", ".", "./", "./."}) EXPECT_THAT(member_path(root), IsEmpty());
}

TEST(MemberPathTest, WhatLeadsOutIsRefused) {
  const auto refused = [](const std::string& path, const char* why) {
    EXPECT_THAT([&] { member_path(path); }, ThrowsMessage<BadSample>(HasSubstr(why))) << path;
  };
  refused("/etc/passwd", "absolute");
  refused("..", "'..'");
  refused("../a", "'..'");
  refused("a/../../b", "'..'");
  refused("a/../b", "'..'");
  refused("a/..", "'..'");
  refused("a\0b"s, "NUL");
  refused(std::string(256, 'x'), "255");
  std::string deep;
  for (int i = 0; i < 65; ++i) deep += "d/";
  refused(deep, "64 folders");
}

TEST(MemberPathTest, LinksThatStayInsideMayBeMade) {
  check_link_target("b", 0);
  check_link_target("./b/c", 0);
  check_link_target("../b", 1);
  check_link_target(".././../b", 2);
  check_link_target("..", 1);
}

TEST(MemberPathTest, LinksThatLeadOutAreRefused) {
  const auto refused = [](const std::string& target, std::size_t depth, const char* why) {
    EXPECT_THAT([&] { check_link_target(target, depth); }, ThrowsMessage<BadSample>(HasSubstr(why)))
        << target;
  };
  refused("", 1, "nothing");
  refused("/etc", 3, "absolute");
  refused("..", 0, "leads out");
  refused("../../b", 1, "leads out");
  // "link" may be a link to the folder itself.
  refused("link/../../b", 2, "leads out");
  refused("b\0c"s, 0, "NUL");
}

}  // namespace
}  // namespace lctl::archives
