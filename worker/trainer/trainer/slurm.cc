#include "worker/trainer/trainer/slurm.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "worker/trainer/core/console.h"

extern char** environ;

namespace lctl {
namespace {

constexpr std::string_view kPrefix = "hpc_ckpt_";
constexpr std::string_view kSuffix = ".ckpt";

std::string_view text_of(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? std::string_view() : std::string_view(text);
}

// The exit status of a command that is looked up in PATH; 127 when it cannot be started.
int run(const std::array<std::string, 3>& words) {
  std::array<char*, 4> arguments{};
  for (std::size_t i = 0; i < words.size(); ++i) arguments[i] = const_cast<char*>(words[i].c_str());
  pid_t child = 0;
  if (posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0)
    return 127;
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string job_id() {
  const std::string_view array = text_of("SLURM_ARRAY_JOB_ID");
  std::string id = array.empty() ? std::string(text_of("SLURM_JOB_ID"))
                                 : fmt::format("{}_{}", array, text_of("SLURM_ARRAY_TASK_ID"));
  if (id.empty() || id.find_first_not_of("0123456789_-") != std::string::npos) {
    throw std::runtime_error(
        fmt::format("SLURM: cannot requeue this job: SLURM_JOB_ID is '{}', not a number", id));
  }
  return id;
}

}  // namespace

bool under_srun() {
  const std::string_view name = text_of("SLURM_JOB_NAME");
  return !text_of("SLURM_NTASKS").empty() && name != "bash" && name != "interactive";
}

void warn_of_unused_srun(std::string_view program) {
  if (under_srun()) return;
  std::string_view path = text_of("PATH");
  while (!path.empty()) {
    const std::size_t colon = std::min(path.find(':'), path.size());
    const std::string candidate = std::string(path.substr(0, colon)) + "/srun";
    path.remove_prefix(std::min(colon + 1, path.size()));
    if (access(candidate.c_str(), X_OK) != 0) continue;
    console::warn(fmt::format(
        "The `srun` command is available on your system but is not used. HINT: If your intention "
        "is to run on SLURM, prepend your command with `srun` like so: srun {} ...",
        program));
    return;
  }
}

bool requeues_itself() { return under_srun() && text_of("TORCHELASTIC_RUN_ID").empty(); }

void requeue_job() {
  const std::string id = job_id();
  console::info(fmt::format("requeing job {}...", id));
  const int status = run({"scontrol", "requeue", id});
  if (status == 0) {
    console::info(fmt::format("Requeued SLURM job: {}", id));
  } else {
    console::warn(fmt::format("Requeuing SLURM job {} failed with error code {}{}", id, status,
                              status == 127 ? ": there is no scontrol in PATH" : ""));
  }
}

std::string first_host(std::string nodes) {
  nodes.resize(std::min(nodes.find(' '), nodes.size()));
  const std::size_t open = nodes.find('[');
  const std::size_t comma = nodes.find(',');
  if (open == std::string::npos || comma < open) {
    nodes.resize(std::min(comma, nodes.size()));
    return nodes;
  }
  const std::size_t number = std::min(nodes.find_first_of(",-]", open), nodes.size());
  return nodes.substr(0, open) + nodes.substr(open + 1, number - open - 1);
}

std::string hpc_checkpoint_path(const std::filesystem::path& folder, std::int64_t number) {
  return (folder / fmt::format("{}{}{}", kPrefix, number, kSuffix)).string();
}

std::optional<std::int64_t> newest_hpc_checkpoint(const std::filesystem::path& folder) {
  std::optional<std::int64_t> newest;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(folder, absent)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    const std::string_view version = std::string_view(name).substr(kPrefix.size());
    std::int64_t number = -1;
    const char* end = version.data() + version.size();
    const auto [stop, error] = std::from_chars(version.data(), end, number);
    if (error != std::errc() || std::string_view(stop, end) != kSuffix) continue;
    newest = std::max(newest.value_or(number), number);
  }
  return newest;
}

}  // namespace lctl
