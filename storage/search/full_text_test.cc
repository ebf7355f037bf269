#include "storage/search/full_text.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::storage {
namespace {

using testing::HasSubstr;

TEST(FullTextTest, WordsAreQuotedBeginnings) {
  EXPECT_EQ(*full_text_query("digits"), "\"digits\"*");
  EXPECT_EQ(*full_text_query("  digits-mlp\tlr=0.1 "), "\"digits-mlp\"* \"lr=0.1\"*");
  EXPECT_EQ(*full_text_query("a OR NOT \"b"), "\"a\"* \"OR\"* \"NOT\"* \"\"\"b\"*");
  EXPECT_EQ(*full_text_query("a - b"), "\"a\"* \"b\"*");
  EXPECT_EQ(*full_text_query(std::string("a\0b", 3)), "\"a\"* \"b\"*");
}

TEST(FullTextTest, NothingToLookForIsRefused) {
  const auto refusal = [](const std::string& text) {
    return std::string(message_of(full_text_query(text).status()));
  };
  EXPECT_THAT(refusal(""), HasSubstr("has no word"));
  EXPECT_THAT(refusal("-- *"), HasSubstr("has no word"));
  EXPECT_THAT(refusal(std::string(1'025, 'a')), HasSubstr("has 1025 bytes; at most 1024"));
  std::string many;
  for (int i = 0; i < 33; ++i) many += "a ";
  EXPECT_THAT(refusal(many), HasSubstr("more than 32 words"));
}

}  // namespace
}  // namespace lctl::storage
