// What this rank runs on, told with its readiness, so that a result can be made again.
#pragma once

#include <string>
#include <string_view>

#include "proto/lctl/v1/job.pb.h"
#include "worker/trainer/accelerators/accelerator.h"

namespace lctl {

// Versions of lctl, LibTorch, the C library, the kernel and the system, those of the accelerator's
// libraries, and the machine. Reads a few files of /proc and /etc; what they do not say is left
// out.
v1::RankEnvironment rank_environment(const Accelerator& accelerator, c10::Device device);

// Parts of it, from the text of the file; "" when it does not say.
std::string parse_os_release(std::string_view text);  // /etc/os-release: "Debian GNU/Linux 12"
std::string parse_cpuinfo(std::string_view text);     // /proc/cpuinfo: "AMD EPYC 9654"
std::string parse_nvidia_version(
    std::string_view text);  // /proc/driver/nvidia/version: "580.65.06"

}  // namespace lctl
