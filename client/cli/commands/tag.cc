// lctl tag: a job's labels.
#include <fmt/format.h>

#include "client/cli/commands/commands.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/terminal/table.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

struct Options {
  std::string job;
  std::vector<std::string> tags;
  std::vector<std::string> removed;
  bool json = false;
};

// The job after the change; without a change as it is.
absl::StatusOr<v1::Job> labelled(client::Client& client, const std::string& job,
                                 const client::LabelChange& change) {
  if (!change.tags.empty() || !change.removed_tags.empty()) return client.label(job, change);
  auto details = client.get(job);
  if (!details.ok()) return details.status();
  return std::move(*details->mutable_job());
}

int tag(const Session& session, const Options& options) {
  client::LabelChange change{.tags = {}, .removed_tags = options.removed, .note = {}};
  for (const std::string& tag : options.tags) {
    const std::size_t equals = tag.find('=');
    if (equals == std::string::npos || equals == 0) {
      return session.misuse(fmt::format(
          "`{}` is no tag: expected KEY=VALUE (`lctl tag JOB --remove KEY` removes one)", tag));
    }
    if (!change.tags.emplace(tag.substr(0, equals), tag.substr(equals + 1)).second) {
      return session.misuse(fmt::format("the tag `{}` is given twice", tag.substr(0, equals)));
    }
  }
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const auto job = labelled(*client, options.job, change);
  if (!job.ok()) return session.fail(job.status());
  if (options.json) {
    print_json(session.out(), job_json(*job));
    return kExitOk;
  }
  if (job->tags().empty()) {
    session.out() << printable(job_title(*job)) << " has no tags.\n";
    return kExitOk;
  }
  Table table({{"TAG"}, {"VALUE"}});
  for (const auto& [key, value] : std::map(job->tags().begin(), job->tags().end())) {
    table.add({key, value});
  }
  session.out() << table.render(session.look());
  return kExitOk;
}

}  // namespace

void add_tag(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program,
      {.name = "tag",
       .summary = "Show or change a job's tags",
       .about = "Sets and removes tags of a job in any state, all at once or not at all, and "
                "shows the tags it has then. `lctl list --where` and `--search` find jobs by "
                "their tags. The first tags are those of the job file's job.tags.",
       .examples = "  lctl tag @last                            what it has\n"
                   "  lctl tag @last team=vision good=yes\n"
                   "  lctl tag digits-mlp --remove good\n"
                   "  lctl list --where \"tags.team = 'vision'\""});
  add_job(command, options->job)->required();
  command->add_option("TAG", options->tags, "KEY=VALUE; several are possible")->type_name("");
  command->add_option("-r,--remove", options->removed, "Remove this tag (repeatable)")
      ->type_name("KEY")
      ->allow_extra_args(false);
  add_json(command, options->json);
  run_with(command, session, options, tag);
}

}  // namespace lctl::cli
