// lctl resume: a stopped or failed job goes on.
#include <fmt/format.h>

#include "client/cli/commands/commands.h"
#include "client/cli/follow.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

struct Options {
  std::string job;
  bool follow = false;
  bool json = false;
};

int resume(const Session& session, const Options& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const auto job = client->resume(options.job);
  if (!job.ok()) return session.fail(job.status());
  if (options.follow) return follow_job(session, *client, *job, options.json);
  if (options.json) {
    print_json(session.out(), job_json(*job));
    return kExitOk;
  }
  session.out() << "Queued again: " << printable(job_title(*job))
                << fmt::format("\nFollow it: lctl status {} --follow\n", job->id());
  return kExitOk;
}

}  // namespace

void add_resume(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program,
      {.name = "resume",
       .summary = "Continue a stopped or failed job",
       .about = "Puts a STOPPED or FAILED job back into the queue. Its next attempt goes on from "
                "the job's newest checkpoint, and its metrics stay one curve: points behind that "
                "checkpoint are replaced by those of the new attempt.",
       .examples = "  lctl resume @last\n"
                   "  lctl resume digits-mlp --follow"});
  add_job(command, options->job)->required();
  command->add_flag("-f,--follow", options->follow, "Show its progress until it ends");
  add_json(command, options->json);
  run_with(command, session, options, resume);
}

}  // namespace lctl::cli
