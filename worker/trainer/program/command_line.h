// lctl-trainer's command line.
#pragma once

#include <string>
#include <vector>

#include "jobspec/config.h"

namespace lctl {

// `lctl-trainer fit|validate|test|predict|tune --config FILE [--key=VALUE | --key VALUE ...]`, or
// `lctl-trainer compare FIRST SECOND`.
struct CommandLine {
  jobspec::Command command = jobspec::Command::kFit;
  std::string config_file;
  std::vector<std::string> overrides;  // "--trainer.max_epochs=3", in order
  std::vector<std::string> compared;   // two checkpoint files; else none, and `command` counts
  bool version = false;
  bool help = false;
};

// Throws std::invalid_argument: one line that says what was expected. `arguments` without the
// program.
CommandLine parse_command_line(const std::vector<std::string>& arguments);

std::string usage_text();

}  // namespace lctl
