#include "worker/trainer/program/rank_environment.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/version.h"

namespace lctl {
namespace {

TEST(RankEnvironmentTest, SaysWhatARankRunsOn) {
  const auto accelerator = make_cpu_accelerator();
  const v1::RankEnvironment environment = rank_environment(*accelerator, accelerator->device(0));
  EXPECT_FALSE(environment.host().empty());
  EXPECT_EQ(environment.device(), "cpu");
  EXPECT_GE(environment.cpus(), 1);
  EXPECT_LE(environment.cpus(), static_cast<int>(std::thread::hardware_concurrency()));
  EXPECT_GT(environment.memory_bytes(), std::int64_t{64} << 20);
  const auto& versions = environment.versions();
  EXPECT_EQ(versions.at("lctl"), kVersion);
  EXPECT_EQ(versions.at("libtorch").find_first_not_of("0123456789."), std::string::npos)
      << versions.at("libtorch");
  EXPECT_TRUE(versions.at("libc").starts_with("glibc 2."));
  EXPECT_FALSE(versions.at("kernel").empty());
  EXPECT_FALSE(versions.contains("driver")) << "not of a CPU";
}

TEST(RankEnvironmentTest, ReadsTheSystemsName) {
  EXPECT_EQ(parse_os_release(
                "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n"),
            "Debian GNU/Linux 12 (bookworm)");
  EXPECT_EQ(parse_os_release("PRETTY_NAME=Alpine\n"), "Alpine");
  EXPECT_EQ(parse_os_release("NAME=x\n"), "");
  EXPECT_EQ(parse_os_release(""), "");
}

TEST(RankEnvironmentTest, ReadsTheProcessorsModel) {
  EXPECT_EQ(
      parse_cpuinfo("processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9654\n\nprocessor\t: 1\n"
                    "model name\t: another\n"),
      "AMD EPYC 9654");
  EXPECT_EQ(parse_cpuinfo("processor\t: 0\nBogoMIPS\t: 50\n"), "") << "ARM's names none";
}

TEST(RankEnvironmentTest, ReadsTheDriversVersion) {
  EXPECT_EQ(
      parse_nvidia_version("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  "
                           "Release Build  (dvs)\nGCC version:  gcc version 12.2.0\n"),
      "580.65.06");
  EXPECT_EQ(parse_nvidia_version(""), "");
}

}  // namespace
}  // namespace lctl
