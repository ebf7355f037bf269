#include "client/cli/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "base/version.h"
#include "client/cli/commands/commands.h"
#include "client/cli/overrides.h"
#include "client/cli/terminal/text.h"
#include "jobspec/edit_distance.h"

namespace lctl::cli {
namespace {

// CLI11's, with the first line of a command's description in the list of commands.
class HelpFormatter final : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(26); }

  std::string make_subcommand(const CLI::App* command) const override {
    const std::string text = command->get_description();
    return "  " + pad(command->get_name(), 14) + text.substr(0, text.find('\n')) + "\n";
  }

  // "-n,--limit N": the bounds that CLI11 adds to the type ("N:INT in [1 - 10000]") are for
  // messages.
  std::string make_option_opts(const CLI::Option* option) const override {
    std::string type = option->get_type_name();
    for (const char* added : {":INT in", ":FLOAT in", ":{"})
      type.erase(std::min(type.find(added), type.size()));
    return type.empty() ? "" : " " + type;
  }
};

// "lctl checkpoints list", of the command that was being parsed.
std::string command_path(const CLI::App* program) {
  std::string path = "lctl";
  for (const CLI::App* at = program; at != nullptr;) {
    const auto given = at->get_subcommands();
    at = given.empty() ? nullptr : given.front();
    if (at != nullptr) path += " " + at->get_name();
  }
  return path;
}

// The name that was perhaps meant by a word that nothing knows; "" = none.
std::string nearest_word(const CLI::App* program, const std::string& word) {
  std::vector<std::string> names;
  const CLI::App* at = program;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  if (!word.empty() && word.front() == '-') {
    for (; at != nullptr; at = at->get_parent()) {
      for (const CLI::Option* option : at->get_options()) {
        for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
      }
    }
  } else {
    for (const CLI::App* child : at->get_subcommands(nullptr)) {
      if (!child->get_group().empty()) names.push_back(child->get_name());
    }
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  return jobspec::nearest_name(word.substr(0, word.find('=')), views);
}

int report_parse_error(const CLI::App& program, const CLI::ParseError& error,
                       const Session& session) {
  std::string message = error.what();
  const std::vector<std::string> extras = program.remaining(/*recurse=*/true);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !extras.empty()) {
    const bool option = extras.front().front() == '-';
    message = fmt::format("there is no {} `{}`", option ? "option" : "command or argument",
                          extras.front());
    const std::string nearest = nearest_word(&program, extras.front());
    if (is_override(extras.front())) {
      message += ": dotted overrides go with `lctl submit` and `lctl run`";
    } else if (!nearest.empty()) {
      message += fmt::format("; did you mean `{}`?", nearest);
    }
  }
  return session.misuse(fmt::format("{}\nSee `{} --help`.", message, command_path(&program)));
}

// Takes dotted overrides out, for the two commands that have them.
absl::StatusOr<SplitArguments> prepare_arguments(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "submit" || argument == "run") return split_overrides(arguments);
  }
  return SplitArguments{.own = arguments};
}

}  // namespace

std::unique_ptr<CLI::App> make_program(Session& session) {
  auto program = std::make_unique<CLI::App>(
      "lctl: submit training jobs, follow them, and look at what they produced", "lctl");
  program->formatter(std::make_shared<HelpFormatter>());
  program->set_help_flag("-h,--help", "Print this help");
  program->set_version_flag("--version", fmt::format("lctl {}", kVersion),
                            "Print the version of this program");
  program
      ->add_option("--server", session.server,
                   "The server (default: $LCTL_SERVER, else 127.0.0.1:7070)")
      ->type_name("HOST:PORT");
  program->require_subcommand(0, 1);
  program->footer(
      "Examples:\n"
      "  lctl up --workers 2                    a whole system on this machine\n"
      "  lctl submit --follow digits.yaml       train, in another terminal\n"
      "  lctl status                            what is going on\n"
      "\n"
      "Exit codes: 0 succeeded, 1 failed, 2 wrong command line or job file, 3 server not\n"
      "reachable, 4 followed job stopped, 130 interrupted (a followed job goes on).\n"
      "`lctl COMMAND --help` explains a command.");
  add_submit(*program, session);
  add_status(*program, session);
  add_list(*program, session);
  add_tag(*program, session);
  add_note(*program, session);
  add_source(*program, session);
  add_logs(*program, session);
  add_metrics(*program, session);
  add_checkpoints(*program, session);
  add_stop(*program, session);
  add_resume(*program, session);
  add_stacks(*program, session);
  add_drill(*program, session);
  add_nodes(*program, session);
  add_rm(*program, session);
  add_admin(*program, session);
  add_up(*program, session);
  add_run(*program, session);
  add_version(*program, session);
  add_completion(*program, session);
  return program;
}

int run_program(const std::vector<std::string>& arguments, Environment& environment) {
  Session session{.environment = environment};
  session.server = client::kDefaultAddress;
  if (const auto server = environment.variable("LCTL_SERVER"); server && !server->empty()) {
    session.server = *server;
  }
  if (!arguments.empty() && arguments.front() == "__complete") {
    return run_complete(*make_program(session), session, {arguments.begin() + 1, arguments.end()});
  }
  auto split = prepare_arguments(arguments);
  if (!split.ok()) return session.fail(split.status());
  session.overrides = std::move(split->overrides);
  const std::unique_ptr<CLI::App> program = make_program(session);
  try {
    // CLI11 takes them from the back.
    program->parse(std::vector<std::string>(split->own.rbegin(), split->own.rend()));
  } catch (const CLI::Success& wanted) {  // --help, --version
    return program->exit(wanted, environment.out, environment.err);
  } catch (const CLI::ParseError& error) {
    return report_parse_error(*program, error, session);
  }
  if (!session.action) {
    environment.out << program->help();
    return kExitOk;
  }
  const int code = session.action();
  environment.out << std::flush;
  // A closed pipe or a full disk: the output did not arrive.
  return code == kExitOk && !environment.out.good() ? kExitFailed : code;
}

}  // namespace lctl::cli
