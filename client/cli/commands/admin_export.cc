// lctl admin export: jobs as files.
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "base/status.h"
#include "client/cli/commands/admin.h"
#include "client/cli/commands/commands.h"
#include "client/cli/export/job_export.h"
#include "client/cli/json.h"
#include "client/cli/terminal/human.h"
#include "client/cli/work_line.h"

namespace lctl::cli {
namespace {

struct Options {
  std::string job;
  std::string dir;
  bool all = false;
  bool without_checkpoints = false;
  bool json = false;
};

Json export_json(const JobExport& done) {
  return {{"folder", done.folder},
          {"points", done.points},
          {"log_bytes", done.log_bytes},
          {"checkpoints", done.checkpoints},
          {"checkpoint_bytes", done.checkpoint_bytes},
          {"was_there", done.was_there}};
}

// The ids of all jobs, oldest first: what was exported before stays at the beginning.
absl::StatusOr<std::vector<std::string>> all_jobs(client::Client& client) {
  LCTL_ASSIGN_OR_RETURN(const std::vector<v1::Job> jobs, client.list({.limit = 10'000}));
  std::vector<std::string> ids;
  for (auto job = jobs.rbegin(); job != jobs.rend(); ++job) ids.push_back(job->id());
  return ids;
}

void print(const Session& session, const JobExport& done) {
  if (done.was_there) {
    session.out() << done.folder << "  unchanged\n";
    return;
  }
  session.out() << fmt::format("{}  {}, {} of logs, {} ({})\n", done.folder,
                               counted(done.points, "point", "points"), human_size(done.log_bytes),
                               counted(done.checkpoints, "new checkpoint", "new checkpoints"),
                               human_size(done.checkpoint_bytes));
}

int run_export(const Session& session, const Options& given) {
  Options options = given;
  // With --all the only word is the folder.
  if (options.all && options.dir.empty()) std::swap(options.job, options.dir);
  if (options.all != options.job.empty() || options.dir.empty()) {
    return session.misuse("expected `lctl admin export JOB DIR` or `lctl admin export --all DIR`");
  }
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  std::vector<std::string> jobs = {options.job};
  if (options.all) {
    auto ids = all_jobs(*client);
    if (!ids.ok()) return session.fail(ids.status());
    jobs = *std::move(ids);
  }
  WorkLine line(session, options.json);
  std::vector<Json> rows;
  for (const std::string& job : jobs) {
    const auto done = export_job(
        *client, job, {.dir = options.dir, .checkpoints = !options.without_checkpoints},
        [&](const std::string& text) { line.update(text); },
        session.environment.interrupts.first());
    line.clear();
    if (absl::IsCancelled(done.status())) {
      session.err() << "interrupted; the same command goes on from here\n";
      return kExitInterrupted;
    }
    // Deleted since it was listed.
    if (options.all && absl::IsNotFound(done.status())) continue;
    if (!done.ok()) return session.fail(done.status());
    if (options.json) {
      rows.push_back(export_json(*done));
    } else {
      print(session, *done);
    }
  }
  if (options.json) print_json_rows(session.out(), rows);
  return kExitOk;
}

}  // namespace

void add_admin_export(CLI::App& parent, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      parent,
      {.name = "export",
       .summary = "Write jobs as CSV, YAML and .ckpt files",
       .about = "Writes the job, or with --all every job, into a folder of this machine: job file, "
                "hyper-parameters, status, all metrics as one CSV, the output of each rank, and "
                "its checkpoints, whose SHA-256 is checked. Each file appears when it is whole. "
                "Repeated, it goes on where it was cut off, and leaves jobs alone that have not "
                "changed.",
       .examples = "  lctl admin export @last export/\n"
                   "  lctl admin export --all /archive/lctl --without-checkpoints\n"
                   "  python3 -c 'import pandas; print(pandas.read_csv(\"metrics.csv\"))'"});
  add_job(command, options->job);
  command->add_option("DIR", options->dir, "The folder to write to; made when absent")
      ->type_name("");
  command->add_flag("--all", options->all, "Every job (the newest 10,000) instead of one");
  command->add_flag("--without-checkpoints", options->without_checkpoints,
                    "Leave the .ckpt files out");
  add_json(command, options->json);
  run_with(command, session, options, run_export);
}

}  // namespace lctl::cli
