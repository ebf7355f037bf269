#include "worker/agent/launch_check.h"

#include <functional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::agent {
namespace {

using ::testing::HasSubstr;

v1::Launch good_launch() {
  v1::Launch launch;
  launch.set_job_id("abcdefghij");
  launch.set_attempt(2);
  launch.set_world_size(4);
  for (int i = 0; i < 2; ++i) {
    v1::RankAssignment& rank = *launch.add_ranks();
    rank.set_rank(i);
    rank.set_local_rank(i);
    rank.set_device_index(i);
    rank.set_device_kind("cuda");
  }
  launch.mutable_rendezvous()->set_bind(true);
  (*launch.mutable_spec()->mutable_environment())["NCCL_DEBUG"] = "INFO";
  return launch;
}

TEST(LaunchCheckTest, WhatTheServerSendsPasses) {
  EXPECT_TRUE(check_launch(good_launch()).ok());
  v1::Launch second = good_launch();
  second.mutable_ranks(0)->set_rank(2);
  second.mutable_ranks(1)->set_rank(3);
  second.mutable_rendezvous()->set_bind(false);
  second.mutable_rendezvous()->set_address("fe80::1%eth0");
  second.mutable_rendezvous()->set_port(29'500);
  EXPECT_TRUE(check_launch(second).ok());
}

struct BadLaunch {
  const char* name;
  std::function<void(v1::Launch&)> spoil;
  const char* message;
};

class BadLaunchTest : public ::testing::TestWithParam<BadLaunch> {};

TEST_P(BadLaunchTest, IsRefused) {
  v1::Launch launch = good_launch();
  GetParam().spoil(launch);
  const absl::Status status = check_launch(launch);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(message_of(status)), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadLaunchTest,
    ::testing::Values(
        BadLaunch{"NoJob", [](auto& l) { l.set_job_id(""); }, "job id"},
        BadLaunch{"JobThatIsAPath", [](auto& l) { l.set_job_id("../../etc"); }, "job id"},
        BadLaunch{"LongJob", [](auto& l) { l.set_job_id(std::string(65, 'a')); }, "job id"},
        BadLaunch{"NoAttempt", [](auto& l) { l.set_attempt(0); }, "attempt number 0"},
        BadLaunch{"NoWorld", [](auto& l) { l.set_world_size(0); }, "world size of 0"},
        BadLaunch{"NoRanks", [](auto& l) { l.clear_ranks(); }, "0 ranks"},
        BadLaunch{"MoreRanksThanTheWorld", [](auto& l) { l.set_world_size(1); },
                  "2 ranks for this node, of 1"},
        BadLaunch{"RankOutOfRange", [](auto& l) { l.mutable_ranks(1)->set_rank(4); }, "rank 4"},
        BadLaunch{"NegativeRank", [](auto& l) { l.mutable_ranks(1)->set_rank(-1); }, "rank -1"},
        BadLaunch{"RankTwice", [](auto& l) { l.mutable_ranks(1)->set_rank(0); }, "rank 0 twice"},
        BadLaunch{"UnknownDevice", [](auto& l) { l.mutable_ranks(1)->set_device_kind("abacus"); },
                  "'abacus'"},
        BadLaunch{"ForeignRendezvous", [](auto& l) { l.mutable_rendezvous()->set_bind(false); },
                  "rank 0"},
        BadLaunch{"NoPort",
                  [](auto& l) {
                    l.mutable_ranks(0)->set_rank(2);
                    l.mutable_rendezvous()->set_bind(false);
                    l.mutable_rendezvous()->set_address("n1");
                  },
                  "port 0"},
        BadLaunch{
            "HugeConfiguration",
            [](auto& l) { l.mutable_spec()->set_config_yaml(std::string((1 << 20) + 1, ' ')); },
            "1048577 bytes"},
        BadLaunch{"VariableName",
                  [](auto& l) { (*l.mutable_spec()->mutable_environment())["A=B"] = ""; }, "'A=B'"},
        BadLaunch{"VariableWithZero",
                  [](auto& l) {
                    (*l.mutable_spec()->mutable_environment())["A"] = std::string("x\0y", 3);
                  },
                  "'A'"},
        BadLaunch{"NegativeSize", [](auto& l) { l.set_resume_checkpoint_size(-1); },
                  "negative size"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace lctl::agent
