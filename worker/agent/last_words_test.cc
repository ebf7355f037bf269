#include "worker/agent/last_words.h"

#include <fstream>

#include "gtest/gtest.h"

namespace lctl::agent {
namespace {

class LastWordsTest : public ::testing::Test {
 protected:
  std::string of(const std::string& content) {
    const std::filesystem::path file =
        std::filesystem::path(testing::TempDir()) / "last_words_stderr";
    std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
    return last_words(file);
  }
};

TEST_F(LastWordsTest, LastLineWithTextIsTaken) {
  EXPECT_EQ(of("first\nRuntimeError: no memory\n\n \n"), "RuntimeError: no memory");
  EXPECT_EQ(of("no line end"), "no line end");
  EXPECT_EQ(of("progress 1%\rprogress 2%\r"), "progress 2%");
}

TEST_F(LastWordsTest, NothingIsSaidByAnEmptyOrAbsentFile) {
  EXPECT_EQ(of(""), "");
  EXPECT_EQ(of("\n\n"), "");
  EXPECT_EQ(last_words("/nowhere/stderr"), "");
}

TEST_F(LastWordsTest, BytesThatAreNoTextBecomeQuestionMarks) {
  EXPECT_EQ(of("bad \xff\xfe byte\n"), "bad ?? byte");
  EXPECT_EQ(of("cut \xc3"), "cut ?");
  EXPECT_EQ(of("overlong \xc0\xaf surrogate \xed\xa0\x80"), "overlong ?? surrogate ???");
  EXPECT_EQ(of("Gr\xc3\xbc\xc3\x9f"
               "e \xf0\x9f\x98\x80"),
            "Gr\xc3\xbc\xc3\x9f"
            "e \xf0\x9f\x98\x80");
  EXPECT_EQ(of("bell\a tab\there"), "bell  tab here");
}

TEST_F(LastWordsTest, LongLineIsCut) {
  // Only the tail of a file is read, wherever that cuts it.
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "\xc3\xbc";
  EXPECT_EQ(of(text).size(), 500u);
}

TEST_F(LastWordsTest, ExitIsDescribedBySignalOrLastLine) {
  of("what went wrong\n");
  const std::filesystem::path file =
      std::filesystem::path(testing::TempDir()) / "last_words_stderr";
  EXPECT_EQ(describe_exit({.signaled = true, .number = 9}, file), "killed by signal 9 (Killed)");
  EXPECT_EQ(describe_exit({.signaled = false, .number = 1}, file), "what went wrong");
  EXPECT_EQ(describe_exit({.signaled = false, .number = 0}, file), "");
  EXPECT_EQ(describe_exit({.signaled = false, .number = 75, .lease_ms = 120'000}, file),
            "lease ran out: node has not heard from the server for 120 s");
}

}  // namespace
}  // namespace lctl::agent
