#include "server/services/last_lines.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::services {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(LastLinesTest, EmptyLinesDoNotCountAndTheOldestComesFirst) {
  EXPECT_THAT(last_lines_of("a\nb\n\n  \nc\r\nd", false, 3), ElementsAre("b", "c", "d"));
  EXPECT_THAT(last_lines_of("a\nb", false, 3), ElementsAre("a", "b"));
  EXPECT_THAT(last_lines_of("\n\n", false, 3), IsEmpty());
  EXPECT_THAT(last_lines_of("", true, 3), IsEmpty());
}

TEST(LastLinesTest, LineWhoseBeginningIsMissingIsLeftOutUnlessThereIsNoOther) {
  EXPECT_THAT(last_lines_of("alf a line\nwhole\n", true, 3), ElementsAre("whole"));
  EXPECT_THAT(last_lines_of("alf a line\n", true, 3), ElementsAre("alf a line"));
}

TEST(LastLinesTest, BytesThatAreNoTextBecomePrintable) {
  EXPECT_THAT(last_lines_of("bad \xff\x07\n", false, 3), ElementsAre("bad ?"));
}

}  // namespace
}  // namespace lctl::services
