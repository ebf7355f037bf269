#include "client/cli/commands/commands.h"

#include "client/cli/terminal/text.h"

namespace lctl::cli {

CLI::App* add_command(CLI::App& parent, const CommandText& text) {
  std::string description = text.summary + "\n";
  for (const std::string& line : wrap(text.about, 79)) description += "\n" + line;
  description += "\n";
  CLI::App* command = parent.add_subcommand(text.name, description);
  std::string footer = "Examples:\n" + text.examples;
  while (footer.back() == '\n') footer.pop_back();
  command->footer(footer);
  command->fallthrough();
  return command;
}

CLI::Option* add_job(CLI::App* command, std::string& job) {
  return command->add_option("JOB", job, "A job: its id, the start of it, its name, or @last")
      ->type_name("");
}

CLI::Option* add_json(CLI::App* command, bool& json) {
  return command->add_flag("--json", json, "Print JSON for programs");
}

}  // namespace lctl::cli
