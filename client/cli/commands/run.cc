// lctl run: train here and now, without any daemon.
#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/pattern.h"
#include "client/cli/commands/commands.h"
#include "client/cli/local_cluster/programs.h"
#include "client/cli/spec_findings.h"
#include "jobspec/command_names.h"
#include "jobspec/config.h"

namespace lctl::cli {
namespace {

struct Options {
  std::string file;
  std::string command = "fit";
};

// A job of several machines becomes one of as many ranks on this one: it trains the same.
std::vector<std::string> on_this_machine(const v1::JobSpec& job) {
  const v1::Resources& resources = job.resources();
  if (resources.nodes() <= 1) return {};
  const std::int64_t ranks =
      std::int64_t{resources.nodes()} * std::int64_t{resources.devices_per_node()};
  std::vector<std::string> overrides;
  if (job.has_elastic()) overrides.push_back("--job.elastic=null");  // all of them are here
  // In both places where the file may say it: they must agree.
  for (const char* nodes : {"--trainer.num_nodes", "--job.resources.nodes"}) {
    overrides.push_back(fmt::format("{}=1", nodes));
  }
  for (const char* devices : {"--trainer.devices", "--job.resources.devices"}) {
    overrides.push_back(fmt::format("{}={}", devices, ranks));
  }
  return overrides;
}

int run(const Session& session, const Options& options) {
  jobspec::ParseOptions parsing;
  parsing.overrides = session.overrides;
  parsing.pattern_problem = pattern_problem;
  for (const auto& [name, command] : jobspec::kCommandNames) {
    if (name == options.command) parsing.command = command;
  }
  const auto config = jobspec::parse_file(options.file, parsing);
  if (!config.ok()) return report_findings(session, config.status(), "nothing was started");
  const auto trainer = find_program(kTrainerProgram, session.environment.variable);
  if (!trainer.ok()) return session.fail(trainer.status());
  std::vector<std::string> words = {*trainer, options.command, "--config", options.file};
  words.insert(words.end(), session.overrides.begin(), session.overrides.end());
  if (const auto local = on_this_machine(config->job); !local.empty()) {
    session.err() << fmt::format(
        "lctl: the {} ranks of {} machines run on this one\n",
        config->job.resources().nodes() * config->job.resources().devices_per_node(),
        config->job.resources().nodes());
    words.insert(words.end(), local.begin(), local.end());
  }
  // Threads that wait for others soon sleep, as under an agent: on a machine that has other work
  // too, GNU OpenMP's milliseconds of spinning keep those from running. LibTorch reads it at its
  // start.
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) ::setenv("GOMP_SPINCOUNT", "1000", 0);
  session.out() << std::flush;
  session.err() << std::flush;
  return session.fail(become(std::move(words)));
}

}  // namespace

void add_run(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program,
      {.name = "run",
       .summary = "Train in the foreground, without any daemon",
       .about = "Checks the job file as submit does and becomes lctl-trainer: it trains in this "
                "terminal and in the current folder, with all ranks of the job on this machine. "
                "No server takes part, and nothing goes into a store. Dotted overrides work as in "
                "submit. The exit code is the trainer's: 0 succeeded, 1 failed, 2 bad "
                "configuration, 75 stopped by a signal after writing a checkpoint.",
       .examples = "  lctl run digits.yaml\n"
                   "  lctl run digits.yaml --trainer.fast_dev_run=true\n"
                   "  lctl run digits.yaml --command test --ckpt_path=best.ckpt\n"
                   "  lctl run digits.yaml --trainer.devices=2 --trainer.max_epochs=1"});
  command->add_option("FILE", options->file, "The job file (YAML)")->required()->type_name("");
  std::vector<std::string> names;
  for (const auto& [name, unused] : jobspec::kCommandNames) names.emplace_back(name);
  command
      ->add_option("--command", options->command, "fit (default), validate, test, predict or tune")
      ->type_name("NAME")
      ->check(CLI::IsMember(names));
  run_with(command, session, options, run);
}

}  // namespace lctl::cli
