#include "client/cli/local_cluster/captured_output.h"

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace lctl::cli {
namespace {

TEST(CapturedOutputTest, TextAndExitCodeComeBack) {
  const auto output = captured_output({"sh", "-c", "echo out; echo err >&2; exit 3"}, false, 100);
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output->text, "out\n");
  EXPECT_EQ(output->exit_code, 3);
}

TEST(CapturedOutputTest, MoreThanTheLimitIsLetGo) {
  const auto output = captured_output({"sh", "-c", "yes | head -c 1000000"}, false, 10);
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output->text, "y\ny\ny\ny\ny\n");
  EXPECT_EQ(output->exit_code, 0);
}

TEST(CapturedOutputTest, SignalsAndMissingProgramsAreTold) {
  EXPECT_EQ(captured_output({"sh", "-c", "kill -9 $$"}, false, 10)->exit_code, 137);
  EXPECT_TRUE(absl::IsNotFound(captured_output({"no-such-program"}, false, 10).status()));
}

}  // namespace
}  // namespace lctl::cli
