// lctl-trainer: one process per rank.
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "base/version.h"
#include "worker/trainer/program/command_line.h"
#include "worker/trainer/program/compare_checkpoints.h"
#include "worker/trainer/program/memory.h"
#include "worker/trainer/program/run_job.h"

namespace {

// Ends the process without LibTorch's static destructors, which take longer than its start.
[[noreturn]] void leave(lctl::ExitCode code) {
  std::fflush(nullptr);
  _exit(static_cast<int>(code));
}

}  // namespace

int main(int argc, char** argv) {
  lctl::keep_freed_memory();
  const std::vector<std::string> words(argv, argv + argc);
  try {
    const lctl::CommandLine line =
        lctl::parse_command_line({words.begin() + (words.empty() ? 0 : 1), words.end()});
    if (line.version) std::printf("lctl-trainer %s\n", lctl::kVersion);
    if (line.help) std::fputs(lctl::usage_text().c_str(), stdout);
    if (line.version || line.help) leave(lctl::ExitCode::kSucceeded);
    if (!line.compared.empty())
      leave(lctl::compare_checkpoints(line.compared[0], line.compared[1]));
    leave(lctl::run_job(line, words));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lctl-trainer: error: %s\n%s", error.what(), lctl::usage_text().c_str());
    leave(lctl::ExitCode::kBadConfiguration);
  }
}
