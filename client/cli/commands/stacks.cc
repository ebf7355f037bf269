// lctl stacks: what a running job's threads are doing.
#include <fmt/format.h>

#include "client/cli/commands/commands.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

struct Options {
  std::string job;
  bool json = false;
};

int stacks(const Session& session, const Options& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const auto job = client->write_stacks(options.job);
  if (!job.ok()) return session.fail(job.status());
  if (options.json) {
    print_json(session.out(), job_json(*job));
    return kExitOk;
  }
  session.out() << "Asked the ranks of " << printable(job_title(*job))
                << fmt::format(
                       " for their stacks. They are in its log in a moment:\n"
                       "lctl logs {} --attempt {} --tail 200\n",
                       job->id(), job->attempt());
  return kExitOk;
}

}  // namespace

void add_stacks(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program, {.name = "stacks",
                .summary = "Write a running job's stacks into its log",
                .about = "Each rank writes where its threads are, the main one last, to its "
                         "standard error, and goes on. Where a process cannot (it is stopped, or "
                         "sleeps in the kernel) its node writes why. A rank that hangs is found, "
                         "and its stacks are written, without being asked.",
                .examples = "  lctl stacks @last\n"
                            "  lctl stacks digits-mlp && lctl logs -f digits-mlp --rank 0"});
  add_job(command, options->job)->required();
  add_json(command, options->json);
  run_with(command, session, options, stacks);
}

}  // namespace lctl::cli
