#include "worker/trainer/program/user_program.h"

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "worker/trainer/program/exit_code.h"
#include "worker/trainer/program/memory.h"
#include "worker/trainer/program/rank_process.h"

namespace lctl {
namespace {

std::unique_ptr<RankProcess>& process() {
  static std::unique_ptr<RankProcess> the_one;
  return the_one;
}

// What main() was given, without asking for it.
std::vector<std::string> command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  std::vector<std::string> words;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = bytes.find('\0', at);
    words.push_back(bytes.substr(at, end - at));
    if (end == std::string::npos) break;
    at = end + 1;
  }
  return words;
}

std::string program_name() {
  const std::vector<std::string> words = command_line();
  return words.empty() ? "program" : std::filesystem::path(words.front()).filename().string();
}

}  // namespace

RankProcess& this_process() {
  if (!process()) process() = std::make_unique<RankProcess>(command_line());
  return *process();
}

int run_program(const std::function<void()>& body) {
  keep_freed_memory();
  signals::install();
  Ending ending;
  try {
    this_process();
    body();
    this_process().wait_for_ranks();
  } catch (...) {
    ending = ending_of_current_exception(process() && process()->environment().orchestrated());
  }
  try {
    if (process()) process()->report(ending, /*parameters_sha256=*/"");
  } catch (const std::exception& error) {
    print_ending({ExitCode::kFailed, error.what()}, program_name());
    if (ending.code == ExitCode::kSucceeded) ending.code = ExitCode::kFailed;
  }
  print_ending(ending, program_name());
  process().reset();  // ends what still runs of the further ranks
  return static_cast<int>(ending.code);
}

}  // namespace lctl
