// Overrides, log lines and JSON values by themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "base/status.h"
#include "client/cli/json.h"
#include "client/cli/log_printer.h"
#include "client/cli/overrides.h"

namespace lctl::cli {
namespace {

using testing::ElementsAre;

TEST(OverridesTest, AreToldApartFromOptions) {
  for (const char* word : {"--trainer.max_epochs=3", "--trainer.max_epochs", "--seed_everything=1",
                           "--ckpt_path", "--trainer.callbacks+=X", "--trianer.x=1", "--model=x"}) {
    EXPECT_TRUE(is_override(word)) << word;
  }
  for (const char* word : {"--follow", "-f", "--server=1.2.3.4:70", "job.yaml", "--", "--.x", ""}) {
    EXPECT_FALSE(is_override(word)) << word;
  }
}

TEST(OverridesTest, AreTakenOutWithTheirValues) {
  const auto split = split_overrides({"submit", "--trainer.max_epochs", "3", "-f",
                                      "--optimizer.init_args.lr=-1", "a.yaml", "--job.name", "-x"});
  ASSERT_TRUE(split.ok());
  EXPECT_THAT(split->own, ElementsAre("submit", "-f", "a.yaml"));
  EXPECT_THAT(split->overrides, ElementsAre("--trainer.max_epochs=3", "--optimizer.init_args.lr=-1",
                                            "--job.name=-x"));
}

TEST(OverridesTest, MissingValueIsAnError) {
  EXPECT_FALSE(split_overrides({"submit", "--trainer.max_epochs"}).ok());
  EXPECT_FALSE(split_overrides({"submit", "--trainer.max_epochs", "--follow"}).ok());
}

TEST(OverridesTest, NothingIsTakenBehindTwoDashes) {
  EXPECT_THAT(split_overrides({"submit", "--", "--a.b=1"})->overrides, ElementsAre());
}

v1::LogChunk chunk(int rank, std::uint64_t offset, const std::string& text) {
  v1::LogChunk chunk;
  chunk.mutable_stream()->set_attempt(1);
  chunk.mutable_stream()->set_rank(rank);
  chunk.set_offset(offset);
  chunk.set_text(text);
  return chunk;
}

TEST(LogPrinterTest, LinesOfRanksAreNotTornApart) {
  std::ostringstream out;
  LogPrinter printer(out, Look(), LogPrinter::Origin::kRank);
  printer.take(chunk(0, 0, "ze"));
  printer.take(chunk(1, 0, "one\n"));
  printer.take(chunk(0, 2, "ro\nopen"));
  printer.finish();
  EXPECT_EQ(out.str(), "[rank 1] one\n[rank 0] zero\n[rank 0] open\n");
}

TEST(LogPrinterTest, BytesThatCameBeforeAreLeftOut) {
  std::ostringstream out;
  LogPrinter printer(out, Look(), LogPrinter::Origin::kNone);
  printer.take(chunk(0, 0, "one\ntw"));
  printer.take(chunk(0, 0, "one\ntwo\n"));
  EXPECT_EQ(out.str(), "one\ntwo\n");
}

TEST(LogPrinterTest, HalfALineAtTheCutIsLeftOut) {
  std::ostringstream out;
  LogPrinter printer(out, Look(), LogPrinter::Origin::kNone);
  printer.take(chunk(0, 100, "half\nwhole\n"));
  EXPECT_EQ(out.str(), "whole\n");
}

TEST(LogPrinterTest, LastLinesOfALongLog) {
  std::ostringstream out;
  LogPrinter printer(out, Look(), LogPrinter::Origin::kNone);
  printer.hold_last(2);
  std::string text;
  for (int i = 0; i < 1000; ++i) text += std::to_string(i) + "\n";
  printer.take(chunk(0, 0, text));
  EXPECT_EQ(out.str(), "");
  printer.release();
  EXPECT_EQ(out.str(), "998\n999\n");
}

TEST(LogPrinterTest, OnATerminalOnlyColoursControlIt) {
  EXPECT_EQ(terminal_line("10%\r50%\r100%\r"), "100%");
  EXPECT_EQ(terminal_line("\x1b[31mred\x1b[0m"), "\x1b[31mred\x1b[0m\x1b[0m");
  EXPECT_EQ(terminal_line("a\x1b[2Jb\x1b]0;title\x07"), "a?[2Jb?]0;title?");
  std::ostringstream out;
  LogPrinter printer(out, Look(), LogPrinter::Origin::kNone);  // no terminal: as it came
  printer.take(chunk(0, 0, "1%\r2%\x1b[2J\n"));
  EXPECT_EQ(out.str(), "1%\r2%\x1b[2J\n");
}

TEST(JsonTest, TextThatIsNoUtf8IsReplaced) {
  std::ostringstream out;
  print_json_line(out, Json{{"text", "a\xff"}});
  EXPECT_EQ(out.str(), "{\"text\":\"a\xef\xbf\xbd\"}\n");
}

}  // namespace
}  // namespace lctl::cli
