#include "client/cli/terminal/table.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

Table jobs() {
  Table table({{"ID"}, {"NAME"}, {"STEP", true}, {"REASON"}});
  table.add({"abcdefghij", "digits-mlp", "1,214", {"running on worker-1, worker-2", Tone::kGood}});
  table.add(
      {"klmnopqrst", "wide", "7", "waiting: needs 8 GPUs on one node, the largest free is 4"});
  return table;
}

int widest(const std::string& text) {
  std::istringstream in(text);
  int width = 0;
  for (std::string line; std::getline(in, line);) width = std::max(width, display_width(line));
  return width;
}

TEST(TableTest, ColumnsAreAlignedAndTheRightOneIsCutAtEighty) {
  EXPECT_EQ(jobs().render(Look()),
            "ID          NAME         STEP  REASON\n"
            "abcdefghij  digits-mlp  1,214  running on worker-1, worker-2\n"
            "klmnopqrst  wide            7  waiting: needs 8 GPUs on one node, the largest f…\n");
}

TEST(TableTest, NothingIsCutWhereThereIsRoom) {
  const std::string text = jobs().render(Look{.width = 200});
  EXPECT_NE(text.find("the largest free is 4\n"), std::string::npos);
}

TEST(TableTest, NoLineIsWiderThanTheTerminal) {
  for (const int width : {40, 44, 50, 60, 79, 80, 81, 120}) {
    EXPECT_LE(widest(jobs().render(Look{.width = width})), width);
    EXPECT_LE(widest(jobs().render(Look{.width = width, .colour = true})), width);
  }
}

TEST(TableTest, ColoursDoNotShiftColumns) {
  EXPECT_EQ(jobs().render(Look{.colour = true}).substr(0, 60),
            "\x1b[2mID\x1b[0m          \x1b[2mNAME\x1b[0m         \x1b[2mSTEP\x1b[0m  "
            "\x1b[2mR");
}

TEST(TableTest, CellsFromOutsideCannotMoveTheCursor) {
  Table table({{"NAME"}});
  table.add({"a\x1b[2Jb\nc"});
  EXPECT_EQ(table.render(Look()), "NAME\na?[2Jb c\n");
}

TEST(FactsTest, ValuesAreAlignedAndWrapped) {
  Facts facts;
  facts.add("job", "abcdefghij");
  facts.add("nothing", "");
  facts.add("reason", "waiting: needs 8 GPUs on one node, the largest free is 4");
  EXPECT_EQ(facts.render(Look{.width = 40}),
            "job     abcdefghij\n"
            "reason  waiting: needs 8 GPUs on one\n"
            "        node, the largest free is 4\n");
}

}  // namespace
}  // namespace lctl::cli
