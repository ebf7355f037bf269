#include "worker/trainer/program/command_line.h"

#include <stdexcept>
#include <utility>

#include "jobspec/command_names.h"

namespace lctl {

std::string usage_text() {
  return "usage: lctl-trainer fit|validate|test|predict|tune --config FILE [--ckpt_path "
         "PATH|last|best] "
         "[--KEY=VALUE ...]\n"
         "  KEY is a dotted key of the file: --trainer.max_epochs=3 --data.init_args.batch_size "
         "64\n"
         "       lctl-trainer compare FIRST SECOND     what differs between two checkpoints, as "
         "JSON\n"
         "exit codes: 0 succeeded, 1 failed, 2 bad configuration or command line, 75 stopped on "
         "request\n";
}

CommandLine parse_command_line(const std::vector<std::string>& arguments) {
  CommandLine line;
  if (arguments.empty())
    throw std::invalid_argument("expected a command, one of fit, validate, test, predict, tune");
  if (arguments[0] == "--version" || arguments[0] == "version") {
    line.version = true;
    return line;
  }
  if (arguments[0] == "--help" || arguments[0] == "-h" || arguments[0] == "help") {
    line.help = true;
    return line;
  }
  if (arguments[0] == "compare") {
    if (arguments.size() != 3)
      throw std::invalid_argument("compare: expected two checkpoint files");
    line.compared = {arguments[1], arguments[2]};
    return line;
  }
  bool known = false;
  for (const auto& [name, command] : jobspec::kCommandNames) {
    if (arguments[0] != name) continue;
    line.command = command;
    known = true;
  }
  if (!known) {
    throw std::invalid_argument(
        "expected a command, one of fit, validate, test, predict, tune, got '" + arguments[0] +
        "'");
  }
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (!word.starts_with("--") || word.size() == 2)
      throw std::invalid_argument("unexpected argument '" + word + "'");
    std::string option = word;
    if (word.find('=') == std::string::npos) {
      if (i + 1 == arguments.size()) throw std::invalid_argument(word + ": a value is missing");
      option += "=" + arguments[++i];
    }
    if (option.starts_with("--config=")) {
      line.config_file = option.substr(9);
    } else {
      line.overrides.push_back(std::move(option));
    }
  }
  if (line.config_file.empty()) throw std::invalid_argument("--config is missing");
  return line;
}

}  // namespace lctl
