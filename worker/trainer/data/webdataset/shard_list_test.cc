#include "worker/trainer/data/webdataset/shard_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/webdataset/brace_expansion.h"
#include "worker/trainer/data/webdataset/test_tar.h"

namespace lctl::webdataset {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

template <typename Call>
std::string error_of(Call&& call) {
  try {
    call();
  } catch (const MisconfigurationException& error) {
    return error.what();
  }
  return "no error";
}

// Recorded from Python's braceexpand 0.1.7.
TEST(BraceExpansionTest, ExpandsAsBraceexpandDoes) {
  EXPECT_THAT(
      expand_braces("train-{000008..000011}.tar"),
      ElementsAre("train-000008.tar", "train-000009.tar", "train-000010.tar", "train-000011.tar"));
  EXPECT_THAT(expand_braces("{a,b}"), ElementsAre("a", "b"));
  EXPECT_THAT(expand_braces("x{1..3}y{a..c}"),
              ElementsAre("x1ya", "x1yb", "x1yc", "x2ya", "x2yb", "x2yc", "x3ya", "x3yb", "x3yc"));
  EXPECT_THAT(expand_braces("{a,b{1..2}}"), ElementsAre("a", "b1", "b2"));
  EXPECT_THAT(expand_braces("{07..10}"), ElementsAre("07", "08", "09", "10"));
  EXPECT_THAT(expand_braces("{4..1}"), ElementsAre("4", "3", "2", "1"));
  EXPECT_THAT(expand_braces("{1..9..3}"), ElementsAre("1", "4", "7"));
  EXPECT_THAT(expand_braces("{a..g..2}"), ElementsAre("a", "c", "e", "g"));
  EXPECT_THAT(expand_braces("{2..-1}"), ElementsAre("2", "1", "0", "-1"));
  EXPECT_THAT(expand_braces("{-01..1}"), ElementsAre("-01", "000", "001"));
  EXPECT_THAT(expand_braces(R"(a\{1,2\}{x})"), ElementsAre("a{1,2}{x}"));
  EXPECT_THAT(expand_braces("{}"), ElementsAre("{}"));
  EXPECT_THAT(expand_braces(R"({a\,b,c})"), ElementsAre("a,b", "c"));
  EXPECT_THAT(expand_braces("index.html{,.backup}"),
              ElementsAre("index.html", "index.html.backup"));
  EXPECT_THAT(expand_braces("{1..3..}"), ElementsAre("{1..3..}"));
  EXPECT_THAT(expand_braces("{9..09}"), ElementsAre("09"));
  EXPECT_THAT(expand_braces("{5..5}"), ElementsAre("5"));
  EXPECT_EQ(expand_braces("{y..B}").size(), 50U);
  EXPECT_THAT(expand_braces("plain.tar"), ElementsAre("plain.tar"));
}

TEST(BraceExpansionTest, UnbalancedBracesAndTooManyResultsAreErrors) {
  EXPECT_THAT(error_of([] { expand_braces("a{1..3.tar"); }),
              AllOf(HasSubstr("'a{1..3.tar'"), HasSubstr("without its }")));
  EXPECT_THAT(error_of([] { expand_braces("a}.tar"); }), HasSubstr("without its {"));
  for (const char* many : {"{0..1000000}", "{1..1000000000000000}", "{0..9999}{0..9999}",
                           "{{0..999999},{0..999999}}"}) {
    EXPECT_THAT(error_of([&] { expand_braces(many); }), HasSubstr("more than 1000000 shards"));
  }
  std::string deep(100, '{');
  EXPECT_THAT(error_of([&] { expand_braces(deep + std::string(100, '}')); }),
              HasSubstr("too many braces"));
}

class ShardListTest : public ::testing::Test {
 protected:
  TestFolder folder_{testing::TempDir()};
};

TEST_F(ShardListTest, TakesPatternsInOrderAndFoldersSorted) {
  for (const char* name : {"b-1.tar", "b-0.tar", "a.tar", "notes.txt"}) folder_.write(name, "");
  const std::string b = folder_.path("b-{0..1}.tar");
  EXPECT_THAT(list_shards({b, folder_.path("a.tar")}),
              ElementsAre(folder_.path("b-0.tar"), folder_.path("b-1.tar"), folder_.path("a.tar")));
  EXPECT_THAT(
      list_shards({folder_.path(".")}),
      ElementsAre(folder_.path("./a.tar"), folder_.path("./b-0.tar"), folder_.path("./b-1.tar")));
  EXPECT_THAT(list_shards({"https://host/t-{0..1}.tar?x=1"}),
              ElementsAre("https://host/t-0.tar?x=1", "https://host/t-1.tar?x=1"));
}

TEST_F(ShardListTest, MissingFilesAreNamed) {
  folder_.write("t-0.tar", "");
  EXPECT_EQ(error_of([&] { list_shards({folder_.path("t-{0..1}.tar")}); }),
            "shards: 1 of 2 is not there: " + folder_.path("t-1.tar"));
  EXPECT_THAT(error_of([&] { list_shards({folder_.path("t-{0..9}.tar")}); }),
              AllOf(HasSubstr("9 of 10 are not there"), HasSubstr("t-3.tar and 6 more"),
                    Not(HasSubstr("t-4.tar"))));
  EXPECT_THAT(error_of([&] { list_shards({folder_.path("t-\\{0\\}.tar")}); }),
              HasSubstr("t-{0}.tar"));
  EXPECT_THAT(error_of([] { list_shards({}); }), HasSubstr("names no shard"));
}

TEST_F(ShardListTest, FoldersWithoutShardsAndCompressedShardsAreErrors) {
  EXPECT_THAT(error_of([&] { list_shards({folder_.path("")}); }), HasSubstr("has no *.tar"));
  folder_.write("t.tar.gz", "");
  for (const std::string& name :
       {folder_.path(""), folder_.path("t.tar.gz"), std::string("https://host/t.tgz?a=b")}) {
    EXPECT_THAT(error_of([&] { list_shards({name}); }),
                AllOf(HasSubstr("compressed"), HasSubstr("gzip -d")));
  }
  EXPECT_THAT(error_of([] { list_shards({"pipe:cat t.tar"}); }), HasSubstr("commands are not run"));
}

TEST(ShardsOfRankTest, RanksTakeTurnsAndNeedOneEach) {
  EXPECT_THAT(shards_of_rank(5, 0, 2), ElementsAre(0, 2, 4));
  EXPECT_THAT(shards_of_rank(5, 1, 2), ElementsAre(1, 3));
  EXPECT_THAT(shards_of_rank(1, 0, 1), ElementsAre(0));
  EXPECT_THAT(error_of([] { shards_of_rank(2, 0, 3); }), HasSubstr("2 shards for 3 ranks"));
}

}  // namespace
}  // namespace lctl::webdataset
