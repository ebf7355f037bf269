// lctl: wires the program to the terminal, the environment and the signals of this process.
#include <pwd.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "client/cli/program.h"
#include "client/cli/signal_interrupts.h"

namespace {

std::string user_at_host() {
  std::string user = "unknown";
  if (const passwd* entry = ::getpwuid(::getuid()); entry != nullptr) user = entry->pw_name;
  char host[256] = "unknown";
  if (::gethostname(host, sizeof(host)) == 0) host[sizeof(host) - 1] = '\0';
  return user + "@" + host;
}

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  // gRPC's own chatter says nothing that our errors do not say; a user may still ask for it.
  ::setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  // A reader that goes away (`lctl list | head`) ends the program quietly.
  std::signal(SIGPIPE, SIG_DFL);
  std::ios::sync_with_stdio(false);
  try {
    lctl::cli::SignalInterrupts interrupts;
    lctl::cli::Environment environment{.out = std::cout,
                                       .err = std::cerr,
                                       .out_look = lctl::cli::look_of(STDOUT_FILENO, variable),
                                       .err_look = lctl::cli::look_of(STDERR_FILENO, variable),
                                       .variable = variable,
                                       .clock = lctl::system_clock(),
                                       .interrupts = interrupts,
                                       .user_at_host = user_at_host()};
    return lctl::cli::run_program(std::vector<std::string>(argv + 1, argv + argc), environment);
  } catch (const std::exception& error) {
    std::cerr << "lctl: internal error: " << error.what() << '\n';
    return lctl::cli::kExitFailed;
  }
}
