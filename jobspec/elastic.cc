#include "jobspec/elastic.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "jobspec/checks.h"
#include "jobspec/keys/key_table.h"

namespace lctl::jobspec {
namespace {

constexpr const char* kKey = "job.elastic";
constexpr std::size_t kNumbersNamed = 8;

const Value* find(const Value& tree, std::string_view first, std::string_view second) {
  const Value* map = tree.find(first);
  if (map == nullptr || !map->is_map()) return nullptr;
  const Value* value = map->find(second);
  return value == nullptr || value->is_null() ? nullptr : value;
}

// "2, 3 or 5"
std::string alternatives(const std::vector<std::int64_t>& numbers) {
  std::string text;
  const std::size_t named = std::min(numbers.size(), kNumbersNamed);
  for (std::size_t i = 0; i < named; ++i) {
    if (i > 0) text += i + 1 == numbers.size() ? " or " : ", ";
    text += fmt::format("{}", numbers[i]);
  }
  return numbers.size() > named ? text + ", …" : text;
}

// Whether batches of so many samples for each rank of all nodes can be those of fewer nodes' ranks.
bool divides_evenly(std::int64_t batch_size, std::int64_t all_nodes, std::int64_t nodes) {
  return (batch_size % nodes) * (all_nodes % nodes) % nodes == 0;
}

}  // namespace

void read_elastic(const Value& given, Value& tree, const ParseOptions& options, v1::JobSpec& spec,
                  Findings& findings) {
  if (given.is_null()) return;
  if (!given.is_map()) {
    findings.add(given.location(), kKey,
                 fmt::format("expected a map, got {} `{}`", given.kind_name(), given.preview()),
                 "expected {min_nodes: 1, max_nodes: 4}");
    return;
  }
  const keys::Class& table = keys::section(kKey);
  if (!check_arguments(table, given, kKey, given.location(), options.check_available, findings))
    return;
  const Arguments elastic(table, given);
  const std::int64_t least = elastic.get_int("min_nodes");
  const std::int64_t most = elastic.get_int("max_nodes");
  if (least > most) {
    findings.add(given.location(), "job.elastic.min_nodes",
                 fmt::format("{} is more than max_nodes, which is {}", least, most));
    return;
  }
  spec.mutable_elastic()->set_min_nodes(static_cast<std::int32_t>(least));
  spec.mutable_elastic()->set_max_nodes(static_cast<std::int32_t>(most));
  if (const Value* trainer = tree.find("trainer"); trainer == nullptr || trainer->is_null())
    tree.set("trainer", Value::empty_map());
  if (Value* trainer = tree.find("trainer");
      trainer->is_map() && find(tree, "trainer", "num_nodes") == nullptr) {
    const Value* resources = find(tree, "job", "resources");
    const Value* nodes =
        resources != nullptr && resources->is_map() ? resources->find("nodes") : nullptr;
    if (nodes == nullptr || nodes->is_null()) trainer->set("num_nodes", Value(most));
  }
}

void settle_elastic(Config& config, Command command, Findings& findings) {
  if (!config.job.has_elastic()) return;
  v1::Elastic& elastic = *config.job.mutable_elastic();
  const Value* given = find(config.tree, "job", "elastic");
  const Location where = given == nullptr ? Location() : given->location();
  const auto refuse = [&](std::string what, std::string hint) {
    findings.add(where, kKey, std::move(what), std::move(hint));
  };
  const std::int64_t most = elastic.max_nodes();
  if (config.job.resources().nodes() != most) {
    refuse(fmt::format("max_nodes is {}, but job.resources.nodes or trainer.num_nodes says {}",
                       most, config.job.resources().nodes()),
           "give max_nodes only");
    return;
  }
  const std::string strategy = config.trainer.get_string("strategy");
  if (strategy != "auto" && !strategy.starts_with("ddp")) {
    refuse(fmt::format("the strategy {} needs a fixed number of ranks", strategy),
           "use trainer.strategy: ddp");
  }
  if (!config.trainer.get_bool("use_distributed_sampler")) {
    refuse(
        "trainer.use_distributed_sampler is false: who shards the data himself cannot be dealt "
        "other samples when the number of nodes changes",
        "leave it at true");
  }
  if (config.job.resume_mode() == v1::RESUME_MODE_LIGHTNING) {
    refuse("job.resume is lightning, which begins an epoch anew after each change of nodes",
           "leave it at exact");
  }
  if (command == Command::kTune && config.tune.scale_batch_size.has_value()) {
    refuse("tune.scale_batch_size changes the batch size, which must be known here",
           "tune without job.elastic, and write the batch size that was found into the file");
  }
  if (config.data.class_name == "WebDataModule") {
    refuse(
        "WebDataModule deals out whole shards to ranks, in an order that depends on how many "
        "there are: after a change some samples would come twice, and others not at all",
        "use a data module of indexed samples, such as ImageFolderDataModule");
    return;
  }
  const std::int64_t batch = config.data.init_args.get_int("batch_size");
  const std::int64_t val = config.data.init_args.get_optional_int("val_batch_size").value_or(batch);
  std::vector<std::int64_t> uneven;
  for (std::int64_t nodes = most; nodes >= elastic.min_nodes(); --nodes) {
    if (divides_evenly(batch, most, nodes) && divides_evenly(val, most, nodes)) {
      elastic.add_node_counts(static_cast<std::int32_t>(nodes));
    } else {
      uneven.push_back(nodes);
    }
  }
  if (elastic.node_counts_size() == 1 && elastic.min_nodes() < most) {
    refuse(
        fmt::format("a batch of all nodes ({} samples for each rank of {} nodes) does not divide "
                    "evenly among {} nodes, so the job could only run on {}",
                    batch, most, alternatives(uneven), most),
        "choose batch_size (and val_batch_size) so that batch_size * max_nodes is a multiple of "
        "a smaller number of nodes too");
  }
}

}  // namespace lctl::jobspec
