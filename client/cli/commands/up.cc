// lctl up: a whole system on this machine, in one terminal.
#include <filesystem>

#include "client/cli/commands/commands.h"
#include "client/cli/local_cluster/local_cluster.h"

namespace lctl::cli {
namespace {

int up(const Session& session, const LocalClusterOptions& options) {
  LocalClusterOptions complete = options;
  if (complete.data_dir.empty()) {
    const auto home = session.environment.variable("HOME");
    if (!home || home->empty()) {
      return session.misuse("HOME is not set: say where to keep the data with --data-dir DIR");
    }
    complete.data_dir = *home + "/.lctl";
  }
  std::error_code error;  // the folder's own use says what is wrong with it
  complete.data_dir = std::filesystem::absolute(complete.data_dir, error).string();
  LocalCluster cluster(session, complete);
  return cluster.run();
}

}  // namespace

void add_up(CLI::App& program, Session& session) {
  const auto options = std::make_shared<LocalClusterOptions>();
  CLI::App* command = add_command(
      program,
      {.name = "up",
       .summary = "Run a server and workers on this machine",
       .about =
           "Starts lctl-server and one or more lctl-worker in this terminal, shares the machine's "
           "cores out among the workers, waits until they are ready, and starts a daemon that "
           "crashes again. Ctrl-C lets running jobs write a checkpoint, then ends workers and "
           "server; Ctrl-C again kills them. Jobs, metrics and checkpoints stay in the data "
           "folder, and jobs that had not ended go on with the next lctl up. The server's address "
           "is also written to DIR/address. On a machine with GPUs use one worker: each worker "
           "offers all of them.",
       .examples = "  lctl up\n"
                   "  lctl up --workers 2 --data-dir /tmp/trial\n"
                   "  lctl up --address 127.0.0.1:0          any free port"});
  command->add_option("-w,--workers", options->workers, "Workers to start (default: 1)")
      ->type_name("N")
      ->check(CLI::Range(1, 64));
  command->add_option("--slots", options->slots, "CPU ranks of each worker (default: its cores)")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  command
      ->add_option("-d,--data-dir", options->data_dir, "Where to keep all data (default: ~/.lctl)")
      ->type_name("DIR");
  command->add_option("-a,--address", options->address, "Where to listen (default: 127.0.0.1:7070)")
      ->type_name("HOST:PORT");
  command
      ->add_option("--http", options->http,
                   "Where to serve HTTP (default: the next port; \"\": off)")
      ->type_name("HOST:PORT");
  run_with(command, session, options, up);
}

}  // namespace lctl::cli
