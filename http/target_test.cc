#include "http/target.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(TargetTest, PathIsCutAtSlashesBeforeItIsDecoded) {
  const auto target = parse_target("/api/a%2Fb/%C3%A9+");
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_THAT(target->segments, ElementsAre("api", "a/b", "é+"));
  EXPECT_EQ(target->path(), "/api/a/b/é+");
  EXPECT_THAT(target->query, IsEmpty());
}

TEST(TargetTest, RootHasNoSegmentAndATrailingSlashMakesAnEmptyOne) {
  EXPECT_THAT(parse_target("/")->segments, IsEmpty());
  EXPECT_EQ(parse_target("/")->path(), "/");
  EXPECT_THAT(parse_target("/a/")->segments, ElementsAre("a", ""));
}

TEST(TargetTest, QueryKeepsOrderAndRepeats) {
  const auto target = parse_target("/x?b=1&a=two+words&b=%26&flag&=v&&#part");
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_THAT(target->query, ElementsAre(Pair("b", "1"), Pair("a", "two words"), Pair("b", "&"),
                                         Pair("flag", ""), Pair("", "v")));
}

TEST(TargetTest, WhatCannotBeReadIsRefusedWithItsReason) {
  const auto refusal = [](std::string_view text) {
    const auto target = parse_target(text);
    EXPECT_TRUE(absl::IsInvalidArgument(target.status())) << text;
    return std::string(target.status().message());
  };
  EXPECT_THAT(refusal(""), HasSubstr("does not begin with '/'"));
  EXPECT_THAT(refusal("http://host/x"), HasSubstr("does not begin with '/'"));
  EXPECT_THAT(refusal("/a%2"), HasSubstr("two hexadecimal digits"));
  EXPECT_THAT(refusal("/a%"), HasSubstr("two hexadecimal digits"));
  EXPECT_THAT(refusal("/?x=%zz"), HasSubstr("two hexadecimal digits"));
  EXPECT_THAT(refusal("/%00"), HasSubstr("NUL"));
  EXPECT_THAT(refusal("/%FF"), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal("/a/../b"), HasSubstr("'..'"));
  EXPECT_THAT(refusal("/a/%2e%2E/b"), HasSubstr("'..'"));
  EXPECT_THAT(refusal("/" + std::string(kMaxTargetBytes, 'a')), HasSubstr("at most 8192"));
  std::string many = "/?";
  for (std::size_t i = 0; i <= kMaxQueryValues; ++i) many += "a&";
  EXPECT_THAT(refusal(many), HasSubstr("more than 256 values"));
}

}  // namespace
}  // namespace lctl::http
