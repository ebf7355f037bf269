// The commands, one file each. Every add_… declares its options on the program and sets
// Session::action when it is the one that was given.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "client/cli/session.h"

namespace lctl::cli {

void add_submit(CLI::App& program, Session& session);
void add_status(CLI::App& program, Session& session);
void add_list(CLI::App& program, Session& session);
void add_tag(CLI::App& program, Session& session);
void add_note(CLI::App& program, Session& session);
void add_source(CLI::App& program, Session& session);
void add_logs(CLI::App& program, Session& session);
void add_metrics(CLI::App& program, Session& session);
void add_checkpoints(CLI::App& program, Session& session);
void add_stop(CLI::App& program, Session& session);
void add_resume(CLI::App& program, Session& session);
void add_stacks(CLI::App& program, Session& session);
void add_drill(CLI::App& program, Session& session);
void add_nodes(CLI::App& program, Session& session);
void add_rm(CLI::App& program, Session& session);
void add_admin(CLI::App& program, Session& session);
void add_up(CLI::App& program, Session& session);
void add_run(CLI::App& program, Session& session);
void add_version(CLI::App& program, Session& session);
void add_completion(CLI::App& program, Session& session);

// Below `lctl checkpoints`.
void add_checkpoints_diff(CLI::App& checkpoints, Session& session);

// Below `lctl nodes`.
void add_nodes_drain(CLI::App& nodes, Session& session);
void add_nodes_undrain(CLI::App& nodes, Session& session);

// The hidden `lctl __complete -- WORDS`: prints what may stand at the last word.
int run_complete(const CLI::App& program, const Session& session, std::vector<std::string> words);

// What --help says about a command.
struct CommandText {
  std::string name;
  std::string summary;   // one line, for the list of commands
  std::string about;     // one paragraph
  std::string examples;  // lines "lctl …   what it does"
};

// A subcommand with that help, below `parent`.
CLI::App* add_command(CLI::App& parent, const CommandText& text);

// Keeps the options' values alive as long as the command, and runs it.
template <typename Options>
void run_with(CLI::App* command, Session& session, const std::shared_ptr<Options>& options,
              int (*run)(const Session&, const Options&)) {
  command->callback([&session, options, run] {
    session.action = [&session, options, run] { return run(session, *options); };
  });
}

// The positional JOB that most commands have; its type name is what completion goes by.
CLI::Option* add_job(CLI::App* command, std::string& job);
// --json
CLI::Option* add_json(CLI::App* command, bool& json);

}  // namespace lctl::cli
