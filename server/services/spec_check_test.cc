#include "server/services/spec_check.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/testing/digits_job.h"

namespace lctl::services {
namespace {

using ::testing::HasSubstr;

TEST(SpecCheckTest, SpecIsWhatTheConfigurationSaysWhateverTheClientClaims) {
  v1::JobSpec sent;
  sent.set_config_yaml(std::string(server::kDigitsJob) + "  max_restarts: 2\n");
  sent.set_name("something else");
  sent.set_max_restarts(1'000'000);
  sent.set_submit_dir("/home/me");
  const auto checked = check_spec(sent);
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(checked->name(), "digits");
  EXPECT_EQ(checked->max_restarts(), 2);
  EXPECT_EQ(checked->submit_dir(), "/home/me");
  EXPECT_GE(checked->resources().devices_per_node(), 1);
}

TEST(SpecCheckTest, FindingsNameFileLineAndKey) {
  v1::JobSpec sent;
  sent.set_config_yaml("trainer:\n  max_epoch: 1\n");
  sent.set_config_name("mine.yaml");
  const auto checked = check_spec(sent);
  EXPECT_TRUE(absl::IsInvalidArgument(checked.status()));
  EXPECT_THAT(std::string(message_of(checked.status())),
              HasSubstr("mine.yaml:2: trainer.max_epoch"));
}

TEST(SpecCheckTest, EmptyAndOversizedAreRefused) {
  EXPECT_THAT(std::string(message_of(check_spec({}).status())), HasSubstr("no configuration"));
  v1::JobSpec sent;
  sent.set_config_yaml(std::string((1 << 20) + 1, ' '));
  EXPECT_THAT(std::string(message_of(check_spec(sent).status())), HasSubstr("1048577 bytes"));
  sent.set_config_yaml(server::kDigitsJob);
  sent.set_submit_dir(std::string(5000, 'x'));
  EXPECT_THAT(std::string(message_of(check_spec(sent).status())), HasSubstr("at most 4096"));
}

}  // namespace
}  // namespace lctl::services
