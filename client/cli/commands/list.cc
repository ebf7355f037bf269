// lctl list: jobs, newest first or as asked for.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "client/cli/commands/commands.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/terminal/human.h"
#include "client/cli/terminal/table.h"

namespace lctl::cli {
namespace {

struct Options {
  std::string experiment;
  std::vector<std::string> states;
  std::string where;
  std::vector<std::string> order_by;
  std::string search;
  int limit = 0;
  bool json = false;
};

void print_table(const Session& session, const std::vector<v1::Job>& jobs) {
  const bool elastic = std::any_of(jobs.begin(), jobs.end(),
                                   [](const v1::Job& job) { return job.spec().has_elastic(); });
  std::vector<Column> columns = {{"ID"},         {"NAME"},       {"EXPERIMENT"}, {"STATE"},
                                 {"STEP", true}, {"TIME", true}, {"REASON"}};
  if (elastic) columns.insert(columns.end() - 1, Column{"NODES", true});
  Table table(std::move(columns));
  const std::int64_t now = unix_micros(session.environment.clock.wall_now());
  for (const v1::Job& job : jobs) {
    std::vector<Cell> row = {job.id(),
                             job.spec().name(),
                             job.spec().experiment(),
                             {state_name(job.state()), state_tone(job.state())},
                             human_count(job.progress().global_step()),
                             running_time(job, now),
                             job.reason()};
    if (elastic) row.insert(row.end() - 1, Cell(elastic_text(job)));
    table.add(std::move(row));
  }
  session.out() << table.render(session.look());
}

int list(const Session& session, const Options& options) {
  client::JobFilter filter{.experiment = options.experiment,
                           .states = {},
                           .limit = options.limit,
                           .where = options.where,
                           .order_by = options.order_by,
                           .search = options.search};
  for (const std::string& name : options.states) {
    const auto state = state_of_name(name);
    if (!state) {
      std::string known;
      for (const v1::JobState one : all_states()) known += " " + state_name(one);
      return session.misuse(fmt::format("--state: there is no state `{}`; known:{}", name, known));
    }
    filter.states.push_back(*state);
  }
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const auto jobs = client->list(filter);
  if (!jobs.ok()) return session.fail(jobs.status());
  if (options.json) {
    std::vector<Json> rows;
    for (const v1::Job& job : *jobs) rows.push_back(job_json(job));
    print_json_rows(session.out(), rows);
  } else if (jobs->empty()) {
    const bool filtered = !options.experiment.empty() || !options.states.empty() ||
                          !options.where.empty() || !options.search.empty();
    session.out() << (filtered ? "No job matches.\n"
                               : "No jobs yet. Submit one: lctl submit FILE\n");
  } else {
    print_table(session, *jobs);
  }
  return kExitOk;
}

}  // namespace

void add_list(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program,
      {.name = "list",
       .summary = "Show jobs, newest first; search for them",
       .about = "Shows one line for each job: its state, the optimizer steps done, the time it has "
                "been running and the reason for its state. With --json an array of objects. "
                "--where takes MLflow's search grammar: comparisons of metrics (their last "
                "value), parameters, tags and attributes such as name, state and start_time, "
                "joined by AND. A name alone is an attribute, else a metric. --sort takes such "
                "a key, with DESC behind or - before it for the largest first. See "
                "docs/searching.md.",
       .examples = "  lctl list\n"
                   "  lctl list --experiment digits --state running --state queued\n"
                   "  lctl list --where 'val/loss < 0.1 and hparams.lr > 1e-3' --sort val/acc\n"
                   "  lctl list --where \"tags.team = 'vision'\" --sort=-start_time\n"
                   "  lctl list --search 'digits baseline'\n"
                   "  lctl list --json | jq -r '.[] | select(.state == \"FAILED\") | .id'"});
  command->add_option("-e,--experiment", options->experiment, "Only jobs of this experiment")
      ->type_name("NAME");
  command->add_option("-s,--state", options->states, "Only jobs in this state (repeatable)")
      ->type_name("STATE")
      ->allow_extra_args(false);
  command->add_option("-w,--where", options->where, "Only jobs that fit: 'val/acc > 0.9 and …'")
      ->type_name("EXPR");
  command->add_option("--sort", options->order_by, "By a key; -KEY or 'KEY DESC': largest first")
      ->type_name("KEY")
      ->allow_extra_args(false);
  command->add_option("--search", options->search, "Only jobs with these words (name, tags, note)")
      ->type_name("TEXT");
  command->add_option("-n,--limit", options->limit, "At most so many (default: 1000)")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000));
  add_json(command, options->json);
  run_with(command, session, options, list);
}

}  // namespace lctl::cli
