#include "worker/trainer/trainer/slurm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace lctl {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class SlurmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) / ("slurm-" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override {
    fs::remove_all(folder_);
    for (const char* name : {"SLURM_NTASKS", "SLURM_JOB_NAME", "SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID",
                             "SLURM_ARRAY_TASK_ID", "TORCHELASTIC_RUN_ID"})
      unsetenv(name);
  }
  // A program of that name, first in PATH, that writes its arguments to "called".
  void put_into_path(const std::string& name, int exit_code) {
    const fs::path program = folder_ / name;
    std::ofstream(program) << "#!/bin/sh\necho \"$@\" >> " << (folder_ / "called").string()
                           << "\nexit " << exit_code << "\n";
    chmod(program.c_str(), 0755);
    setenv("PATH", (folder_.string() + ":/usr/bin:/bin").c_str(), 1);
  }
  std::string called() const {
    std::ifstream file(folder_ / "called");
    return std::string((std::istreambuf_iterator<char>(file)), {});
  }

  fs::path folder_;
};

TEST_F(SlurmTest, ATaskOfSrunIsNoInteractiveSession) {
  EXPECT_FALSE(under_srun());
  setenv("SLURM_NTASKS", "2", 1);
  EXPECT_TRUE(under_srun());
  EXPECT_TRUE(requeues_itself());
  setenv("TORCHELASTIC_RUN_ID", "x", 1);
  EXPECT_FALSE(requeues_itself());
  setenv("SLURM_JOB_NAME", "interactive", 1);
  EXPECT_FALSE(under_srun());
}

TEST_F(SlurmTest, RequeueingNamesTheJobOrTheArrayTask) {
  put_into_path("scontrol", 0);
  setenv("SLURM_JOB_ID", "42", 1);
  ::testing::internal::CaptureStderr();
  requeue_job();
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("Requeued SLURM job: 42"));
  setenv("SLURM_ARRAY_JOB_ID", "7", 1);
  setenv("SLURM_ARRAY_TASK_ID", "3", 1);
  requeue_job();
  EXPECT_EQ(called(), "requeue 42\nrequeue 7_3\n");
}

TEST_F(SlurmTest, ARequeueingThatFailsIsSaid) {
  put_into_path("scontrol", 5);
  setenv("SLURM_JOB_ID", "43", 1);
  ::testing::internal::CaptureStderr();
  requeue_job();
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("Requeuing SLURM job 43 failed with error code 5"));
  setenv("SLURM_JOB_ID", "; rm", 1);
  EXPECT_THROW(requeue_job(), std::runtime_error);
}

TEST_F(SlurmTest, AnUnusedSrunIsMentioned) {
  put_into_path("srun", 0);
  ::testing::internal::CaptureStderr();
  warn_of_unused_srun("train");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("like so: srun train ..."));
}

TEST_F(SlurmTest, TheFirstHostOfANodeList) {
  EXPECT_EQ(first_host("alpha,beta,delta"), "alpha");
  EXPECT_EQ(first_host("alpha beta"), "alpha");
  EXPECT_EQ(first_host("host[5-9]"), "host5");
  EXPECT_EQ(first_host("host[05,7],other"), "host05");
  EXPECT_EQ(first_host("single[3]"), "single3");
  EXPECT_EQ(first_host("one"), "one");
}

TEST_F(SlurmTest, TheNewestCheckpointHasTheHighestNumber) {
  EXPECT_FALSE(newest_hpc_checkpoint(folder_ / "absent").has_value());
  EXPECT_FALSE(newest_hpc_checkpoint(folder_).has_value());
  for (const char* name : {"hpc_ckpt_2.ckpt", "hpc_ckpt_10.ckpt", "hpc_ckpt_11.txt", "hpc_ckpt_"})
    std::ofstream(folder_ / name) << "x";
  EXPECT_EQ(newest_hpc_checkpoint(folder_), 10);
  EXPECT_EQ(hpc_checkpoint_path("/a", 3), "/a/hpc_ckpt_3.ckpt");
}

}  // namespace
}  // namespace lctl
