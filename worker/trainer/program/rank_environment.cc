#include "worker/trainer/program/rank_environment.h"

#include <gnu/libc-version.h>
#include <sched.h>
#include <sys/utsname.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/version.h"
#include "worker/trainer/loggers/host_name.h"

namespace lctl {
namespace {

std::string text_of(const char* file) {
  std::ifstream stream(file);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

std::string_view trimmed(std::string_view text, std::string_view what) {
  const std::size_t begin = text.find_first_not_of(what);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(what) + 1 - begin);
}

// What stands behind `name`, at the start of a line, and `separator`.
std::string value_of(std::string_view text, std::string_view name, char separator) {
  while (!text.empty()) {
    const std::string_view line = first_line(text);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t at = line.find(separator);
    if (at == std::string_view::npos || trimmed(line.substr(0, at), " \t") != name) continue;
    return std::string(trimmed(line.substr(at + 1), " \t\"'"));
  }
  return {};
}

int usable_cpus() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 0;
}

void add(v1::RankEnvironment& environment, const std::string& name, std::string version) {
  if (!version.empty()) (*environment.mutable_versions())[name] = std::move(version);
}

}  // namespace

std::string parse_os_release(std::string_view text) { return value_of(text, "PRETTY_NAME", '='); }

std::string parse_cpuinfo(std::string_view text) { return value_of(text, "model name", ':'); }

// "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build …": the first
// word that is a version.
std::string parse_nvidia_version(std::string_view text) {
  std::istringstream words{std::string(first_line(text))};
  for (std::string word; words >> word;) {
    if (word.find_first_not_of("0123456789.") == std::string::npos &&
        word.find('.') != std::string::npos)
      return word;
  }
  return {};
}

v1::RankEnvironment rank_environment(const Accelerator& accelerator, c10::Device device) {
  v1::RankEnvironment environment;
  environment.set_host(host_name());
  environment.set_device(accelerator.device_name(device));
  environment.set_cpu(parse_cpuinfo(text_of("/proc/cpuinfo")));
  environment.set_cpus(usable_cpus());
  environment.set_memory_bytes(std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE));
  add(environment, "lctl", kVersion);
  add(environment, "libtorch", TORCH_VERSION);
  add(environment, "libc", std::string("glibc ") + gnu_get_libc_version());
  add(environment, "os", parse_os_release(text_of("/etc/os-release")));
  if (utsname system{}; uname(&system) == 0) add(environment, "kernel", system.release);
  const auto libraries = accelerator.versions();
  if (libraries.empty()) return environment;
  for (const auto& [name, version] : libraries) add(environment, name, version);
  add(environment, "driver", parse_nvidia_version(text_of("/proc/driver/nvidia/version")));
  return environment;
}

}  // namespace lctl
