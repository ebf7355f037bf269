#include "client/cli/terminal/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "client/cli/terminal/human.h"
#include "client/cli/terminal/look.h"

namespace lctl::cli {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;

VariableLookup variables(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

TEST(TextTest, WidthCountsCharactersNotBytesNorColours) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("größe…"), 6);
  EXPECT_EQ(display_width("\x1b[31mred\x1b[0m"), 3);
  EXPECT_EQ(display_width("日本"), 4);
  EXPECT_EQ(display_width("e\xcc\x81"), 1);  // a combining accent
  EXPECT_EQ(display_width("\xff"), 1);
}

TEST(TextTest, ControlCharactersCannotReachTheTerminal) {
  EXPECT_EQ(printable("a\x1b[2Jb"), "a?[2Jb");
  EXPECT_EQ(printable("a\tb\nc"), "a b c");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "?31m");                           // the one-byte CSI
  EXPECT_EQ(printable("ok\xff\xc3"), "ok??");  // no UTF-8
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "evil"),
            "?evil");  // right-to-left override
  EXPECT_EQ(printable("größe"), "größe");
}

TEST(TextTest, FitCutsAndSaysSo) {
  const Look look;
  EXPECT_EQ(fit("abcdef", 6, look), "abcdef");
  EXPECT_EQ(fit("abcdefg", 6, look), "abcde…");
  EXPECT_EQ(fit("日本語", 4, look), "日…");
  EXPECT_EQ(fit("abc", 0, look), "");
  EXPECT_EQ(fit("abcdefg", 6, Look{.unicode = false}), "abcde~");
}

TEST(TextTest, WrapBreaksAtBlanks) {
  EXPECT_THAT(wrap("needs 8 GPUs on one node", 10), ElementsAre("needs 8", "GPUs on", "one node"));
  EXPECT_THAT(wrap("abcdefghij klm", 4), ElementsAre("abcd", "efgh", "ij", "klm"));
  EXPECT_THAT(wrap("", 4), ElementsAre());
}

TEST(HumanTest, Durations) {
  EXPECT_EQ(human_duration(milliseconds(350)), "350ms");
  EXPECT_EQ(human_duration(milliseconds(999)), "999ms");
  EXPECT_EQ(human_duration(Duration(999'600)), "1.0s");
  EXPECT_EQ(human_duration(milliseconds(4'230)), "4.2s");
  EXPECT_EQ(human_duration(seconds(42)), "42s");
  EXPECT_EQ(human_duration(seconds(185)), "3m 05s");
  EXPECT_EQ(human_duration(hours(2) + minutes(13)), "2h 13m");
  EXPECT_EQ(human_duration(hours(76)), "3d 4h");
  EXPECT_EQ(human_duration(seconds(-5)), "0ms");
  EXPECT_EQ(clock_duration(seconds(7)), "0:07");
  EXPECT_EQ(clock_duration(seconds(7'980)), "2:13:00");
}

TEST(HumanTest, SizesNumbersAndCounts) {
  EXPECT_EQ(human_size(512), "512 B");
  EXPECT_EQ(human_size(4096), "4.0 KiB");
  EXPECT_EQ(human_size(1'048'570), "1.0 MiB");
  EXPECT_EQ(human_size(1'395'864'371), "1.3 GiB");
  EXPECT_EQ(human_number(0.0312501), "0.03125");
  EXPECT_EQ(human_number(1234), "1234");
  EXPECT_EQ(human_number(1.5e-7), "1.5e-07");
  EXPECT_EQ(human_number(std::nan("")), "nan");
  EXPECT_EQ(human_number(-INFINITY), "-inf");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1'234'567), "1,234,567");
  EXPECT_EQ(human_count(-123'456), "-123,456");
  EXPECT_EQ(counted(1, "node", "nodes"), "one node");
  EXPECT_EQ(counted(3, "node", "nodes"), "3 nodes");
  EXPECT_EQ(human_time(0), "-");
}

TEST(LookTest, ColourOnATerminalOnlyAndNotAgainstTheUsersWish) {
  EXPECT_TRUE(make_look(true, 100, variables({})).colour);
  EXPECT_FALSE(make_look(false, 0, variables({})).colour);
  EXPECT_FALSE(make_look(true, 100, variables({{"NO_COLOR", "1"}})).colour);
  EXPECT_TRUE(make_look(true, 100, variables({{"NO_COLOR", ""}})).colour);
  EXPECT_FALSE(make_look(true, 100, variables({{"TERM", "dumb"}})).colour);
}

TEST(LookTest, WidthIsTheTerminalsThenColumnsThenEighty) {
  EXPECT_EQ(make_look(true, 132, variables({{"COLUMNS", "50"}})).width, 132);
  EXPECT_EQ(make_look(false, 0, variables({{"COLUMNS", "50"}})).width, 50);
  EXPECT_EQ(make_look(false, 0, variables({{"COLUMNS", "many"}})).width, 80);
  EXPECT_EQ(make_look(true, 0, variables({})).width, 80);
  EXPECT_EQ(make_look(true, 3, variables({})).width, 40);
}

TEST(LookTest, AsciiOnlyInALocaleWithoutUtf8) {
  EXPECT_TRUE(make_look(true, 80, variables({})).unicode);
  EXPECT_TRUE(make_look(true, 80, variables({{"LANG", "de_DE.UTF-8"}})).unicode);
  EXPECT_FALSE(make_look(true, 80, variables({{"LANG", "C"}})).unicode);
  EXPECT_FALSE(make_look(true, 80, variables({{"LC_ALL", "C"}, {"LANG", "C.utf8"}})).unicode);
}

TEST(LookTest, PaintAddsCodesOnlyWithColour) {
  EXPECT_EQ(Look().paint(Tone::kBad, "x"), "x");
  EXPECT_EQ(Look{.colour = true}.paint(Tone::kBad, "x"), "\x1b[31mx\x1b[0m");
  EXPECT_EQ(Look{.colour = true}.paint(Tone::kPlain, "x"), "x");
}

}  // namespace
}  // namespace lctl::cli
