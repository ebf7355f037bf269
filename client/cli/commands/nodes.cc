// lctl nodes: the machines.
#include <fmt/format.h>

#include <map>

#include "client/cli/commands/commands.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/terminal/human.h"
#include "client/cli/terminal/table.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

struct Options {
  bool json = false;
};

// "4 NVIDIA H100", "2 cpu slot".
std::string devices_text(const v1::Node& node) {
  std::map<std::string, int> counts;
  for (const auto& device : node.devices()) ++counts[device.name()];
  std::string text;
  for (const auto& [name, count] : counts) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", count, name);
  }
  return text.empty() ? "none" : text;
}

Tone node_tone(v1::NodeState state) {
  switch (state) {
    case v1::NODE_STATE_READY:
      return Tone::kGood;
    case v1::NODE_STATE_SUSPECT:
    case v1::NODE_STATE_DRAINING:
    case v1::NODE_STATE_DRAINED:
      return Tone::kBusy;
    default:
      return Tone::kBad;
  }
}

int nodes(const Session& session, const Options& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const auto nodes = client->nodes();
  if (!nodes.ok()) return session.fail(nodes.status());
  if (options.json) {
    std::vector<Json> rows;
    for (const v1::Node& node : *nodes) rows.push_back(node_json(node));
    print_json_rows(session.out(), rows);
    return kExitOk;
  }
  if (nodes->empty()) {
    session.out() << "No nodes yet. Start one: lctl-worker --server " << session.server << '\n';
    return kExitOk;
  }
  const std::int64_t now = unix_micros(session.environment.clock.wall_now());
  Table table({{"NAME"},
               {"STATE"},
               {"USED", true},
               {"CORES", true},
               {"MEMORY", true},
               {"LOAD", true},
               {"SEEN", true},
               {"DEVICES"}});
  for (const v1::Node& node : *nodes) {
    const bool seen = node.last_seen_us() != 0;
    table.add({node.name(),
               {node_state_name(node.state()), node_tone(node.state())},
               fmt::format("{}/{}", node.devices_in_use(), node.devices_size()),
               std::to_string(node.cpus()),
               human_size(node.memory_bytes()),
               fmt::format("{:.1f}", node.load_1m()),
               seen ? human_duration(Duration(now - node.last_seen_us())) : "-",
               devices_text(node)});
  }
  session.out() << table.render(session.look());
  for (const v1::Node& node : *nodes) {
    for (const v1::Device& device : node.devices()) {
      if (device.fault().empty()) continue;
      session.out() << fmt::format("{} {} of {} is not used: {}\n",
                                   device.kind() == "cuda" ? "GPU" : "CPU slot", device.index(),
                                   printable(node.name()), printable(device.fault()));
    }
    if (node.drained_us() == 0) continue;
    session.out() << fmt::format(
        "{} is drained since {}{}{}\n", printable(node.name()), human_time(node.drained_us()),
        node.drain_reason().empty() ? "" : ": ", printable(node.drain_reason()));
  }
  return kExitOk;
}

}  // namespace

void add_nodes(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program,
      {.name = "nodes",
       .summary = "Show the machines, or take one out of use",
       .about = "Shows every machine that runs lctl-worker: whether it is READY, SUSPECT (its "
                "heartbeats are late), LOST, DRAINING or DRAINED (out of use), how many of its "
                "devices (GPUs, or CPU slots) are in use, and when it was last heard of.",
       .examples = "  lctl nodes\n"
                   "  lctl nodes --json | jq '[.[] | select(.state == \"READY\")] | length'\n"
                   "  lctl nodes drain gpu-3 --reason 'new disk' --wait"});
  add_json(command, options->json);
  add_nodes_drain(*command, session);
  add_nodes_undrain(*command, session);
  command->callback([command, &session, options] {
    // It is called for its subcommands, too, after them.
    if (!command->get_subcommands().empty()) return;
    session.action = [&session, options] { return nodes(session, *options); };
  });
}

}  // namespace lctl::cli
