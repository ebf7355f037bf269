// lctl admin: what operators do to the server's store.
#include "client/cli/commands/admin.h"

#include "client/cli/commands/commands.h"

namespace lctl::cli {

void add_admin(CLI::App& program, Session& session) {
  CLI::App* command = add_command(
      program, {.name = "admin",
                .summary = "Back up, check and tidy up the server's store",
                .about = "The server does the work while jobs go on; these commands ask for it and "
                         "show how far it has come. Folders are those of the server's host.",
                .examples = "  lctl admin backup /backups/lctl --keep 14\n"
                            "  lctl admin check --deep\n"
                            "  lctl admin gc --dry-run"});
  command->require_subcommand(1);
  add_admin_backup(*command, session);
  add_admin_restore(*command, session);
  add_admin_check(*command, session);
  add_admin_vacuum(*command, session);
  add_admin_gc(*command, session);
  add_admin_export(*command, session);
}

}  // namespace lctl::cli
