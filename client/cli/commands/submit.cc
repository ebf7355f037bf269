// lctl submit: a job file into the queue.
#include <fmt/format.h>

#include <utility>

#include "base/pattern.h"
#include "client/cli/commands/commands.h"
#include "client/cli/follow.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/source/working_tree.h"
#include "client/cli/spec_findings.h"
#include "jobspec/config.h"

namespace lctl::cli {
namespace {

struct Options {
  std::string file;
  bool follow = false;
  bool dry_run = false;
  bool no_source = false;
  bool json = false;
};

int submit(const Session& session, const Options& options) {
  jobspec::ParseOptions parsing;
  parsing.overrides = session.overrides;
  parsing.pattern_problem = pattern_problem;
  const auto config = jobspec::parse_file(options.file, parsing);
  if (!config.ok()) return report_findings(session, config.status(), "nothing was submitted");
  if (options.dry_run) {
    session.out() << config->canonical_yaml();
    return kExitOk;
  }
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  std::optional<v1::SourceCode> source;
  if (!options.no_source) source = read_working_tree(config->job.submit_dir());
  const auto job =
      client->submit(config->job, session.environment.user_at_host, {}, std::move(source));
  if (!job.ok()) {
    if (absl::IsInvalidArgument(job.status()))
      return report_findings(session, job.status(), "nothing was submitted");
    return session.fail(job.status());
  }
  if (options.json) {
    if (options.follow) return follow_job(session, *client, *job, /*json=*/true);
    print_json(session.out(), job_json(*job));
    return kExitOk;
  }
  session.out() << "Submitted " << session.look().paint(Tone::kBold, job_title(*job)) << " to "
                << session.server << '\n'
                << std::flush;
  if (options.follow) return follow_job(session, *client, *job, /*json=*/false);
  session.out() << fmt::format(
      "Follow it with `lctl status {0} --follow`, or `lctl logs -f {0}`.\n", job->id());
  return kExitOk;
}

}  // namespace

void add_submit(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program,
      {.name = "submit",
       .summary = "Queue a job file",
       .about =
           "Checks the job file here, with every mistake shown at its file, line and key, and puts "
           "it into the server's queue; nothing is sent when anything is wrong. Keys of the file "
           "are changed by dotted overrides: --trainer.max_epochs=3, list indices as in "
           "--trainer.callbacks.0.init_args.patience=5, and += to append to a list. Submitted from "
           "a working tree of git, the job remembers its commit and what differs from it "
           "(`lctl source`). With --follow "
           "the exit code tells what became of the job; Ctrl-C ends the following, not the job.",
       .examples =
           "  lctl submit digits.yaml\n"
           "  lctl submit --follow digits.yaml --trainer.max_epochs=20\n"
           "  lctl submit digits.yaml --optimizer.init_args.lr=0.01 --job.name=lr-0.01\n"
           "  lctl submit --dry-run digits.yaml      check it and print what would be sent"});
  command->add_option("FILE", options->file, "The job file (YAML)")->required()->type_name("");
  command->add_flag("-f,--follow", options->follow, "Show its progress until it ends");
  command->add_flag("--no-source", options->no_source,
                    "Do not keep the commit and the changes of this folder");
  command->add_flag("--dry-run", options->dry_run, "Check and print the whole job, send nothing");
  add_json(command, options->json);
  run_with(command, session, options, submit);
}

}  // namespace lctl::cli
