// The whole `lctl` program but for main(): runs in a test as it does in a terminal.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "client/cli/environment.h"
#include "client/cli/session.h"

namespace lctl::cli {

// All commands and options. `session` must outlive the result.
std::unique_ptr<CLI::App> make_program(Session& session);

// Runs one command line (without the program's name); returns the exit code.
int run_program(const std::vector<std::string>& arguments, Environment& environment);

}  // namespace lctl::cli
