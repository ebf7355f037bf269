#include "worker/agent/rank_environment.h"

#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::agent {
namespace {

using ::testing::Contains;
using ::testing::IsSupersetOf;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;

class RankEnvironmentTest : public ::testing::Test {
 protected:
  RankEnvironmentTest() {
    launch_.set_job_id("abcdefghij");
    launch_.set_attempt(3);
    launch_.set_world_size(4);
    launch_.set_node_rank(1);
    launch_.mutable_spec()->set_name("digits");
    launch_.mutable_spec()->set_checkpoint_every_ms(60'000);
    rank_.set_rank(2);
    rank_.set_local_rank(0);
    rank_.set_device_kind("cpu");
    place_.master_address = "10.0.0.1";
    place_.master_port = 29'500;
    place_.rank_folder = "/data/runs/abcdefghij.3/rank-2";
    place_.local_world_size = 2;
    place_.node_cpus = 8;
  }
  Environment make(Environment inherited = {}) {
    return rank_environment(launch_, rank_, place_, inherited);
  }
  std::string& job_variable(const char* name) {
    return (*launch_.mutable_spec()->mutable_environment())[name];
  }

  v1::Launch launch_;
  v1::RankAssignment rank_;
  RankPlace place_;
};

TEST_F(RankEnvironmentTest, SaysWhoTheRankIsAndWhereItsFilesAre) {
  EXPECT_THAT(make(), IsSupersetOf({
                          Pair("RANK", "2"),
                          Pair("LOCAL_RANK", "0"),
                          Pair("WORLD_SIZE", "4"),
                          Pair("LOCAL_WORLD_SIZE", "2"),
                          Pair("GROUP_RANK", "1"),
                          Pair("MASTER_ADDR", "10.0.0.1"),
                          Pair("MASTER_PORT", "29500"),
                          Pair("LCTL_JOB_ID", "abcdefghij"),
                          Pair("LCTL_ATTEMPT", "3"),
                          Pair("LCTL_JOB_NAME", "digits"),
                          Pair("LCTL_SPOOL", "/data/runs/abcdefghij.3/rank-2/events.log"),
                          Pair("LCTL_PULSE", "/data/runs/abcdefghij.3/rank-2/pulse"),
                          Pair("LCTL_STAGE", "/data/runs/abcdefghij.3/rank-2/stage"),
                          Pair("LCTL_CHECKPOINT_EVERY_MS", "60000"),
                          Pair("LCTL_DEVICE", "cpu"),
                      }));
}

TEST_F(RankEnvironmentTest, OptionalPartsAreAbsentUnlessNeeded) {
  EXPECT_THAT(make(), Not(Contains(Key("LCTL_RENDEZVOUS_FD"))));
  EXPECT_THAT(make(), Not(Contains(Key("LCTL_RESUME_CKPT"))));
  place_.rendezvous_fd = 17;
  place_.resume_file = "/data/resume.ckpt";
  EXPECT_THAT(make(), Contains(Pair("LCTL_RENDEZVOUS_FD", "17")));
  EXPECT_THAT(make(), Contains(Pair("LCTL_RESUME_CKPT", "/data/resume.ckpt")));
}

TEST_F(RankEnvironmentTest, GpusAreCountedAsTheDriverCountsThem) {
  EXPECT_THAT(make(), Not(Contains(Key("CUDA_DEVICE_ORDER"))));
  rank_.set_device_kind("cuda");
  rank_.set_device_index(5);
  EXPECT_THAT(make(), Contains(Pair("LCTL_DEVICE", "cuda:5")));
  EXPECT_THAT(make(), Contains(Pair("CUDA_DEVICE_ORDER", "PCI_BUS_ID")));
}

TEST_F(RankEnvironmentTest, ThreadsAreTheJobsElseAShareOfTheNodes) {
  EXPECT_THAT(make(), Contains(Pair("OMP_NUM_THREADS", "4")));
  launch_.mutable_spec()->mutable_resources()->set_cpus_per_rank(3);
  EXPECT_THAT(make(), Contains(Pair("OMP_NUM_THREADS", "3")));
  EXPECT_THAT(make(), Contains(Pair("MKL_NUM_THREADS", "3")));
  job_variable("OMP_NUM_THREADS") = "7";
  EXPECT_THAT(make(), Contains(Pair("OMP_NUM_THREADS", "7")));
  EXPECT_THAT(make(), Contains(Pair("MKL_NUM_THREADS", "3")));
}

TEST_F(RankEnvironmentTest, WaitingThreadsSoonSleepUnlessTheJobSaysHowTheyWait) {
  EXPECT_THAT(make(), Contains(Pair("GOMP_SPINCOUNT", "1000")));
  job_variable("GOMP_SPINCOUNT") = "infinity";
  EXPECT_THAT(make(), Contains(Pair("GOMP_SPINCOUNT", "infinity")));
}

TEST_F(RankEnvironmentTest, WaitPolicyOfTheJobStandsAlone) {
  job_variable("OMP_WAIT_POLICY") = "active";
  EXPECT_THAT(make(), Not(Contains(Key("GOMP_SPINCOUNT"))));
}

TEST_F(RankEnvironmentTest, MoreRanksThanCoresStillGetAThread) {
  place_.local_world_size = 100;
  EXPECT_THAT(make(), Contains(Pair("OMP_NUM_THREADS", "1")));
}

TEST_F(RankEnvironmentTest, JobOverridesWhatIsInheritedAndTheContractOverridesBoth) {
  job_variable("NCCL_DEBUG") = "INFO";
  job_variable("RANK") = "99";
  job_variable("LCTL_RENDEZVOUS_FD") = "3";
  const Environment result =
      make({{"NCCL_DEBUG", "WARN"}, {"HOME", "/home/u"}, {"WORLD_SIZE", "9"}});
  EXPECT_THAT(result, IsSupersetOf({Pair("NCCL_DEBUG", "INFO"), Pair("HOME", "/home/u"),
                                    Pair("RANK", "2"), Pair("WORLD_SIZE", "4")}));
  EXPECT_THAT(result, Not(Contains(Key("LCTL_RENDEZVOUS_FD"))));
}

TEST_F(RankEnvironmentTest, WhatBelongsToTheDaemonIsNotInherited) {
  setenv("LCTL_SERVER", "x", 1);
  setenv("NOTIFY_SOCKET", "x", 1);
  setenv("AN_ORDINARY_VARIABLE", "value=with=equals", 1);
  setenv("LCTL_DATA_CACHE", "/data", 1);
  setenv("LCTL_DATA_CACHE_SIZE", "200G", 1);
  const Environment inherited = inherited_environment();
  EXPECT_THAT(inherited, Not(Contains(Key("LCTL_SERVER"))));
  EXPECT_THAT(inherited, Not(Contains(Key("NOTIFY_SOCKET"))));
  EXPECT_THAT(inherited, IsSupersetOf({Pair("LCTL_DATA_CACHE", "/data"),
                                       Pair("LCTL_DATA_CACHE_SIZE", "200G")}));
  EXPECT_THAT(inherited, Contains(Pair("AN_ORDINARY_VARIABLE", "value=with=equals")));
}

}  // namespace
}  // namespace lctl::agent
