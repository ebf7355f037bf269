// lctl nodes drain, lctl nodes undrain: a machine out of use, and back.
#include <fmt/format.h>

#include "client/cli/commands/commands.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

struct DrainOptions {
  std::string node;
  std::string reason;
  double grace = 0;
  bool wait = false;
  bool json = false;
};

struct UndrainOptions {
  std::string node;
  bool json = false;
};

void add_node(CLI::App* command, std::string& node) {
  command->add_option("NODE", node, "A node: its name or its id")->required()->type_name("");
}

int show(const Session& session, const v1::Node& node, bool json) {
  if (json) {
    print_json(session.out(), node_json(node));
  } else {
    const std::string name = node.name().empty() ? node.id() : node.name();
    session.out() << node_state_name(node.state()) << "  " << printable(name) << '\n';
  }
  return kExitOk;
}

int drain(const Session& session, const DrainOptions& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const std::chrono::milliseconds grace(static_cast<std::int64_t>(options.grace * 1000));
  auto node = client->drain(options.node, options.reason, grace);
  if (node.ok() && options.wait) {
    node = client->wait_drained(node->id(), session.environment.interrupts.first());
  }
  if (!node.ok()) return session.fail(node.status());
  show(session, *node, options.json);
  if (options.json) return kExitOk;
  if (node->state() == v1::NODE_STATE_DRAINING) {
    session.out() << "Its jobs write a checkpoint and go on elsewhere: " << node->job_ids_size()
                  << " left.\n";
  }
  session.out() << fmt::format("Back into use: lctl nodes undrain {}\n", node->name());
  return kExitOk;
}

int undrain(const Session& session, const UndrainOptions& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const auto node = client->undrain(options.node);
  if (!node.ok()) return session.fail(node.status());
  return show(session, *node, options.json);
}

}  // namespace

void add_nodes_drain(CLI::App& nodes, Session& session) {
  const auto options = std::make_shared<DrainOptions>();
  CLI::App* command = add_command(
      nodes,
      {.name = "drain",
       .summary = "Take a node out of use, checkpoint first",
       .about =
           "The node gets no new ranks. Jobs that run on it write a checkpoint, end, go back into "
           "the queue without counting a restart, and go on elsewhere from that checkpoint. "
           "Returns at once, or with --wait when nothing of them is left on the node. It stays "
           "drained, over restarts too, until lctl nodes undrain.",
       .examples = "  lctl nodes drain gpu-3 --reason 'new disk' --wait\n"
                   "  lctl nodes drain gpu-3 --grace 60"});
  add_node(command, options->node);
  command->add_option("--reason", options->reason, "Why, for those who look at node and jobs")
      ->type_name("TEXT");
  command->add_option("--grace", options->grace, "Time for the checkpoints")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 3600.0));
  command->add_flag("--wait", options->wait, "Return when no rank is left on the node");
  add_json(command, options->json);
  run_with(command, session, options, drain);
}

void add_nodes_undrain(CLI::App& nodes, Session& session) {
  const auto options = std::make_shared<UndrainOptions>();
  CLI::App* command =
      add_command(nodes, {.name = "undrain",
                          .summary = "Put a drained node back into use",
                          .about = "The node takes ranks again. Nothing happens to one that is not "
                                   "drained.",
                          .examples = "  lctl nodes undrain gpu-3"});
  add_node(command, options->node);
  add_json(command, options->json);
  run_with(command, session, options, undrain);
}

}  // namespace lctl::cli
