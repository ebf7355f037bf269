// lctl version: of this program and of the server.
#include "base/version.h"

#include "base/status.h"
#include "client/cli/commands/commands.h"
#include "client/cli/json.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

struct Options {
  bool json = false;
};

int version(const Session& session, const Options& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const auto server = client->server_info();
  if (options.json) {
    print_json(session.out(), {{"client", kVersion},
                               {"server", server.ok() ? Json(server->version()) : Json()},
                               {"address", session.server}});
    return kExitOk;
  }
  session.out() << "lctl         " << kVersion << '\n';
  if (server.ok()) {
    session.out() << "lctl-server  " << printable(server->version()) << " at " << session.server
                  << '\n';
  } else {
    session.out() << "lctl-server  none: " << printable(message_of(server.status())) << '\n';
  }
  return kExitOk;
}

}  // namespace

void add_version(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program, {.name = "version",
                .summary = "Show the versions of lctl and of the server",
                .about = "Prints the version of this program and of the server that it talks to. A "
                         "server that cannot be reached is no error here.",
                .examples = "  lctl version\n"
                            "  lctl version --json"});
  add_json(command, options->json);
  run_with(command, session, options, version);
}

}  // namespace lctl::cli
