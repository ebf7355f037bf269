#include "server/nodes/registration.h"

#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::nodes {
namespace {

using ::testing::HasSubstr;

v1::Register good() {
  v1::Register message;
  message.set_node_id("abcdefgh234567ab");
  message.set_name("gpu-1.example");
  message.set_address("10.0.0.1");
  message.set_version(kVersion);
  message.set_cpus(8);
  v1::Device& device = *message.add_devices();
  device.set_kind("cuda");
  v1::RankReport& rank = *message.add_ranks();
  rank.set_job_id("jjjjjjjjjj");
  rank.set_attempt(2);
  rank.set_state(v1::RANK_STATE_EXITED);
  rank.set_exit_code(137);
  rank.set_message("first line\nsecond line");
  rank.set_lost_with_reboot(true);
  rank.set_lease_ran_out(true);
  return message;
}

std::string refusal(const v1::Register& message) {
  return std::string(message_of(check_registration(message).status()));
}

TEST(RegistrationTest, GoodOneComesThrough) {
  const auto checked = check_registration(good());
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(checked->info.id, NodeId{"abcdefgh234567ab"});
  EXPECT_EQ(checked->info.devices.at(0).kind, "cuda");
  EXPECT_EQ(checked->ranks.at(0).attempt, (AttemptId{JobId{"jjjjjjjjjj"}, 2}));
  EXPECT_EQ(checked->ranks[0].message, "first line second line");
  EXPECT_TRUE(checked->ranks[0].lost_with_reboot);
  EXPECT_TRUE(checked->ranks[0].lease_ran_out);
}

TEST(RegistrationTest, EveryBoundIsChecked) {
  v1::Register message = good();
  message.set_node_id("ABC");
  EXPECT_THAT(refusal(message), HasSubstr("expected 16 characters a-z2-7"));

  message = good();
  message.set_name("a b");
  EXPECT_THAT(refusal(message), HasSubstr("node name 'a b'"));

  message = good();
  message.set_address("http://x/");
  EXPECT_THAT(refusal(message), HasSubstr("without a port"));

  message = good();
  message.set_version("99.0.0");
  EXPECT_THAT(refusal(message), HasSubstr("install the same major version"));

  message = good();
  *message.add_devices() = message.devices(0);
  EXPECT_THAT(refusal(message), HasSubstr("named twice"));

  message = good();
  message.mutable_devices(0)->set_kind("tpu");
  EXPECT_THAT(refusal(message), HasSubstr("expected cpu or cuda"));

  message = good();
  message.set_cpus(-1);
  EXPECT_THAT(refusal(message), HasSubstr("negative"));

  message = good();
  message.mutable_ranks(0)->set_state(v1::RANK_STATE_LOST);
  EXPECT_THAT(refusal(message), HasSubstr("rank state 5"));

  message = good();
  message.mutable_ranks(0)->set_exit_code(256);
  EXPECT_THAT(refusal(message), HasSubstr("exit code 256"));

  message = good();
  message.mutable_ranks(0)->set_attempt(0);
  EXPECT_THAT(refusal(message), HasSubstr("names no attempt"));

  message = good();
  for (int i = 0; i < 4096; ++i) *message.add_ranks() = message.ranks(0);
  EXPECT_THAT(refusal(message), HasSubstr("4097 ranks"));
}

TEST(RegistrationTest, LaunchOrderBecomesItsMessage) {
  auto spec = std::make_shared<v1::JobSpec>();
  spec->set_name("digits");
  const v1::ServerMessage message =
      to_message({.attempt = {JobId{"jjjjjjjjjj"}, 3},
                  .spec = spec,
                  .ranks = {{.rank = 2, .local_rank = 0, .device = {5, "cuda"}}},
                  .world_size = 4,
                  .node_rank = 1,
                  .bind = false,
                  .rendezvous_address = "10.0.0.1",
                  .rendezvous_port = 29'500,
                  .resume_checkpoint_id = "c",
                  .resume_checkpoint_size = 12});
  const v1::Launch& launch = message.launch();
  EXPECT_EQ(launch.job_id(), "jjjjjjjjjj");
  EXPECT_EQ(launch.attempt(), 3);
  EXPECT_EQ(launch.spec().name(), "digits");
  EXPECT_EQ(launch.ranks(0).device_index(), 5);
  EXPECT_EQ(launch.ranks(0).device_kind(), "cuda");
  EXPECT_EQ(launch.rendezvous().port(), 29'500);
  EXPECT_FALSE(launch.rendezvous().bind());
  EXPECT_EQ(launch.resume_checkpoint_size(), 12);
}

TEST(CheckLogMatchTest, LineBecomesPrintableAndWhatCannotBeIsRefused) {
  v1::LogMatch match;
  match.set_job_id("aaaaaaaaaa");
  match.set_attempt(2);
  match.set_rank(1);
  match.set_policy(31);
  match.set_line("two\nlines " + std::string(5000, 'x'));
  const auto checked = check_log_match(match);
  ASSERT_TRUE(checked.ok());
  EXPECT_EQ(checked->attempt.str(), "aaaaaaaaaa.2");
  EXPECT_EQ(checked->line.substr(0, 10), "two lines ");
  EXPECT_EQ(checked->line.size(), 500u);

  match.set_policy(32);
  EXPECT_EQ(message_of(check_log_match(match).status()), "log policy 32 is out of range");
  match.set_policy(0);
  match.set_rank(-1);
  EXPECT_EQ(message_of(check_log_match(match).status()), "rank -1 is out of range");
  match.set_attempt(0);
  EXPECT_EQ(message_of(check_log_match(match).status()),
            "a match of a log policy names no attempt: job 'aaaaaaaaaa', attempt 0");
}

}  // namespace
}  // namespace lctl::nodes
