// lctl admin backup and restore.
#include <fmt/format.h>

#include <filesystem>
#include <vector>

#include "client/cli/admin_json.h"
#include "client/cli/commands/admin.h"
#include "client/cli/commands/commands.h"
#include "client/cli/local_cluster/programs.h"
#include "client/cli/terminal/human.h"
#include "client/cli/work_line.h"

namespace lctl::cli {
namespace {

struct BackupOptions {
  std::string dir;
  int keep = 0;
  bool json = false;
};

struct RestoreOptions {
  std::string backup;
  std::string data_dir;
  bool quick = false;
  bool json = false;
};

void print(const Session& session, const v1::BackupResult& result) {
  session.out() << fmt::format(
      "{}\n  database     {}, {}\n  checkpoints  {}: {} in {}, {} of them new ({} linked, {} "
      "copied: {})\n",
      result.folder(), human_size(result.database_bytes()), counted(result.jobs(), "job", "jobs"),
      result.checkpoints(), human_size(result.chunk_bytes()),
      counted(result.chunks(), "chunk", "chunks"),
      human_count(result.linked_chunks() + result.copied_chunks()),
      human_count(result.linked_chunks()), human_count(result.copied_chunks()),
      human_size(result.copied_bytes()));
  for (const std::string& name : result.removed()) {
    session.out() << fmt::format("  removed      {}\n", name);
  }
}

int backup(const Session& session, const BackupOptions& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  WorkLine line(session, options.json);
  const auto result = client->back_up(options.dir, options.keep, line.sink(),
                                      session.environment.interrupts.first());
  line.clear();
  if (absl::IsCancelled(result.status())) {
    session.err() << "interrupted: no backup was made; the next one need not copy again what was "
                     "copied\n";
    return kExitInterrupted;
  }
  if (!result.ok()) return session.fail(result.status());
  if (options.json) {
    print_json(session.out(), backup_json(*result));
  } else {
    print(session, *result);
  }
  if (result->missing_chunks() == 0) return kExitOk;
  std::string text = fmt::format("the store has lost {} of checkpoints; the backup has all else:",
                                 counted(result->missing_chunks(), "chunk", "chunks"));
  for (const std::string& one : result->missing()) text += "\n  " + one;
  return session.fail(absl::DataLossError(text + "\n`lctl admin check` tells more."));
}

int restore(const Session& session, const RestoreOptions& options) {
  const auto server = find_program(kServerProgram, session.environment.variable);
  if (!server.ok()) return session.fail(server.status());
  std::vector<std::string> words = {*server, "--restore", options.backup, "--data-dir",
                                    options.data_dir};
  if (options.quick) words.push_back("--quick");
  if (options.json) words.push_back("--json");
  session.out() << std::flush;
  session.err() << std::flush;
  return session.fail(become(std::move(words)));
}

}  // namespace

void add_admin_backup(CLI::App& parent, Session& session) {
  const auto options = std::make_shared<BackupOptions>();
  CLI::App* command = add_command(
      parent,
      {.name = "backup",
       .summary = "Back up the store while jobs go on",
       .about = "Adds a backup to DIR, a folder on the server's host (an absolute path): the whole "
                "database at one moment, with every checkpoint that it names. Chunks of "
                "checkpoints are hard-linked where DIR is on the store's file system, else copied; "
                "what an earlier backup in DIR has is not copied again. A backup appears when it "
                "is whole: what is cut off never looks like one. Exit code 1 when the store itself "
                "has lost data.",
       .examples = "  lctl admin backup /backups/lctl\n"
                   "  lctl admin backup /backups/lctl --keep 14      for a daily timer\n"
                   "  lctl admin backup /backups/lctl --json | jq -r .folder"});
  command->add_option("DIR", options->dir, "The folder of backups; made when absent")
      ->required()
      ->type_name("");
  command->add_option("--keep", options->keep, "Keep the newest N in DIR, remove older ones")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000));
  add_json(command, options->json);
  run_with(command, session, options, backup);
}

void add_admin_restore(CLI::App& parent, Session& session) {
  const auto options = std::make_shared<RestoreOptions>();
  CLI::App* command = add_command(
      parent,
      {.name = "restore",
       .summary = "Make a data folder from a backup",
       .about = "Becomes `lctl-server --restore`, on the machine where the server is to run: no "
                "server takes part. Verifies the whole backup (its hashes, the database, every "
                "chunk) before it puts anything in place. The data folder must be new or empty. "
                "BACKUP is one backup, or a folder of them: then its newest.",
       .examples = "  lctl admin restore /backups/lctl --data-dir /var/lib/lctl\n"
                   "  lctl admin restore /backups/lctl/20260131T140509Z --data-dir /tmp/drill"});
  command->add_option("BACKUP", options->backup, "A backup, or a folder of backups")
      ->required()
      ->type_name("");
  command->add_option("-d,--data-dir", options->data_dir, "The new data folder")
      ->required()
      ->type_name("DIR");
  command->add_flag("--quick", options->quick, "Check sizes of chunks, do not read them");
  add_json(command, options->json);
  run_with(command, session, options, restore);
}

}  // namespace lctl::cli
