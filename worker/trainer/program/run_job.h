// One command from the parsed command line to the exit code.
#pragma once

#include <string>
#include <vector>

#include "worker/trainer/program/command_line.h"
#include "worker/trainer/program/exit_code.h"

namespace lctl {

// Runs the command. Failures end as one line on stderr, in the spool (if there is one) and in the
// code; nothing is thrown. `words` is the whole command line of this process: further local ranks
// are started with it.
ExitCode run_job(const CommandLine& line, const std::vector<std::string>& words);

}  // namespace lctl
