// lctl stop: end a job, checkpoint first.
#include <fmt/format.h>

#include "client/cli/commands/commands.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

struct Options {
  std::string job;
  std::string reason;
  double grace = 0;
  bool now = false;
  bool wait = false;
  bool json = false;
};

int stop(const Session& session, const Options& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const auto grace =
      options.now ? std::chrono::milliseconds(-1)
                  : std::chrono::milliseconds(static_cast<std::int64_t>(options.grace * 1000));
  auto job = client->stop(options.job, grace, options.reason);
  if (!job.ok()) return session.fail(job.status());
  if (options.wait) {
    job = client->watch(job->id(), {}, session.environment.interrupts.first());
    if (!job.ok()) return session.fail(job.status());
  }
  if (options.json) {
    print_json(session.out(), job_json(*job));
    return kExitOk;
  }
  session.out() << session.look().paint(state_tone(job->state()), state_name(job->state())) << "  "
                << printable(job_title(*job)) << ": " << printable(job->reason()) << '\n';
  if (job->state() == v1::JOB_STATE_STOPPING) {
    session.out() << (options.now ? "Its ranks are killed.\n"
                                  : "Its ranks write a last checkpoint and end.\n");
  }
  session.out() << fmt::format("Go on with it: lctl resume {}\n", job->id());
  return kExitOk;
}

}  // namespace

void add_stop(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program,
      {.name = "stop",
       .summary = "Stop a job; it can be resumed",
       .about =
           "Asks the job's ranks to finish the current batch, write a checkpoint and end; returns "
           "at once, or with --wait when the job has ended. Ranks that take longer than the "
           "grace time (job.grace, 30 s unless set) are killed. A queued job stops at once. "
           "lctl resume continues the job at the step where it stopped.",
       .examples = "  lctl stop @last\n"
                   "  lctl stop digits-mlp --wait --reason 'need the machine'\n"
                   "  lctl stop k3f --now                    kill it: the work since the newest\n"
                   "                                         checkpoint is lost"});
  add_job(command, options->job)->required();
  command->add_option("--grace", options->grace, "Time for the last checkpoint")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 3600.0));
  command->add_flag("--now", options->now, "Kill the ranks without a checkpoint");
  command->add_option("--reason", options->reason, "Why, for the job's history")->type_name("TEXT");
  command->add_flag("--wait", options->wait, "Return when the job has ended");
  add_json(command, options->json);
  run_with(command, session, options, stop);
}

}  // namespace lctl::cli
