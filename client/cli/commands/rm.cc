// lctl rm: delete jobs that have ended.
#include <fmt/format.h>

#include <istream>
#include <string>
#include <vector>

#include "client/cli/admin_json.h"
#include "client/cli/commands/commands.h"
#include "client/cli/job_text.h"
#include "client/cli/terminal/human.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

struct Options {
  std::vector<std::string> jobs;
  bool yes = false;
  bool json = false;
};

// All of them are found before any is deleted, by their ids: a name may mean another job once the
// newest of that name is gone.
absl::StatusOr<std::vector<v1::Job>> find_all(client::Client& client,
                                              const std::vector<std::string>& names) {
  std::vector<v1::Job> jobs;
  for (const std::string& name : names) {
    auto details = client.get(name);
    if (!details.ok()) return details.status();
    v1::Job& job = *details->mutable_job();
    if (!client::is_final(job.state())) {
      return absl::FailedPreconditionError(
          fmt::format("{} is {}: only jobs that have ended are deleted; `lctl stop {}` ends it. "
                      "Nothing was deleted",
                      printable(job_title(job)), state_name(job.state()), job.id()));
    }
    bool seen = false;
    for (const v1::Job& other : jobs) seen = seen || other.id() == job.id();
    if (!seen) jobs.push_back(std::move(job));
  }
  return jobs;
}

bool confirmed(const Session& session, const std::vector<v1::Job>& jobs) {
  for (const v1::Job& job : jobs) {
    session.err() << fmt::format("{}  {}, experiment {}\n", printable(job_title(job)),
                                 state_name(job.state()), printable(job.spec().experiment()));
  }
  session.err() << fmt::format(
      "Delete {} with all metrics, logs and checkpoints? This cannot be undone. [y/N] ",
      counted(static_cast<std::int64_t>(jobs.size()), "this job", "these jobs"));
  session.err() << std::flush;
  std::string answer;
  std::getline(session.environment.in, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

int rm(const Session& session, const Options& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const auto jobs = find_all(*client, options.jobs);
  if (!jobs.ok()) return session.fail(jobs.status());
  if (!options.yes && !confirmed(session, *jobs)) {
    session.err() << "Nothing was deleted; --yes deletes without asking.\n";
    return kExitFailed;
  }
  std::vector<Json> rows;
  for (const v1::Job& job : *jobs) {
    const auto deleted = client->delete_job(job.id());
    if (!deleted.ok()) return session.fail(deleted.status());
    if (options.json) {
      rows.push_back(deletion_json(*deleted));
    } else {
      session.out() << fmt::format("deleted {}; {} of checkpoints are freed within a minute\n",
                                   printable(job_title(job)),
                                   human_size(deleted->checkpoint_bytes()));
    }
  }
  if (options.json) print_json_rows(session.out(), rows);
  return kExitOk;
}

}  // namespace

void add_rm(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program,
      {.name = "rm",
       .summary = "Delete jobs that have ended",
       .about = "Deletes jobs with all that belongs to them: history, metrics, output, "
                "checkpoints, tags and note. Only jobs that have ended; it asks first, unless "
                "--yes is given. Chunks that other jobs' checkpoints share stay with those. "
                "`lctl admin export` makes files of a job before.",
       .examples = "  lctl rm @last\n"
                   "  lctl rm --yes 3f2k digits-mlp\n"
                   "  lctl list --where \"tags.trial = 'yes'\" --json | jq -r '.[].id' |\n"
                   "    xargs lctl rm --yes"});
  command->add_option("JOB", options->jobs, "Jobs: ids, starts of ids, names, or @last")
      ->required()
      ->type_name("");
  command->add_flag("-y,--yes", options->yes, "Delete without asking");
  add_json(command, options->json);
  run_with(command, session, options, rm);
}

}  // namespace lctl::cli
