#include "worker/trainer/program/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace lctl {
namespace {

using ::testing::ElementsAre;

TEST(CommandLineTest, OverridesKeepTheirOrderInBothForms) {
  const CommandLine line =
      parse_command_line({"fit", "--config", "a.yaml", "--trainer.max_epochs=3", "--ckpt_path",
                          "x.ckpt", "--data.init_args.path", "a=b"});
  EXPECT_EQ(line.command, jobspec::Command::kFit);
  EXPECT_EQ(line.config_file, "a.yaml");
  EXPECT_THAT(line.overrides, ElementsAre("--trainer.max_epochs=3", "--ckpt_path=x.ckpt",
                                          "--data.init_args.path=a=b"));
}

TEST(CommandLineTest, LastConfigWins) {
  EXPECT_EQ(parse_command_line({"test", "--config", "a", "--config=b"}).config_file, "b");
}

TEST(CommandLineTest, TwoCheckpointsAreCompared) {
  EXPECT_THAT(parse_command_line({"compare", "a.ckpt", "b.ckpt"}).compared,
              ElementsAre("a.ckpt", "b.ckpt"));
  EXPECT_THROW(parse_command_line({"compare", "a.ckpt"}), std::invalid_argument);
}

TEST(CommandLineTest, MistakesAreNamed) {
  EXPECT_THROW(parse_command_line({}), std::invalid_argument);
  EXPECT_THROW(parse_command_line({"train"}), std::invalid_argument);
  EXPECT_THROW(parse_command_line({"fit"}), std::invalid_argument);
  EXPECT_THROW(parse_command_line({"fit", "--config"}), std::invalid_argument);
  EXPECT_THROW(parse_command_line({"fit", "--config=a", "stray"}), std::invalid_argument);
}

}  // namespace
}  // namespace lctl
