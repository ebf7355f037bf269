// lctl list: jobs, newest first or as asked for.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
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
  std::vector<std::string> show;
  int limit = 0;
  bool json = false;
};

// A key whose values are shown.
struct Shown {
  std::string name;      // "val/acc", "params.lr", "start_time"
  int index = 0;         // in a job's values
  bool is_time = false;  // milliseconds since 1970
};

// Of the server's keys: what --show names, and what --sort does if it is no attribute.
std::vector<Shown> shown_of(const client::JobListing& listing, std::size_t sort_keys) {
  static constexpr std::string_view kMetrics = "metrics.";
  std::vector<Shown> shown;
  for (std::size_t i = 0; i < listing.shown.size(); ++i) {
    std::string name = listing.shown[i];
    const bool is_attribute = name.find('.') == std::string::npos;
    if (is_attribute && i < sort_keys) continue;
    if (name.starts_with(kMetrics)) name.erase(0, kMetrics.size());
    std::erase(name, '`');
    const bool known = std::any_of(shown.begin(), shown.end(),
                                   [&](const Shown& other) { return other.name == name; });
    if (known) continue;
    const bool is_time = is_attribute && name.ends_with("_time");
    shown.push_back({std::move(name), static_cast<int>(i), is_time});
  }
  return shown;
}

v1::JobValue value_of(const v1::JobValues& values, const Shown& shown) {
  return shown.index < values.values_size() ? values.values(shown.index) : v1::JobValue();
}

std::int64_t micros_of(const v1::JobValue& time) {
  return static_cast<std::int64_t>(time.number()) * 1000;
}

std::string text_of(const v1::JobValue& value, bool is_time) {
  if (value.has_text()) return value.text();
  if (!value.has_number()) return "-";
  return is_time ? human_time(micros_of(value)) : human_number(value.number());
}

Json json_of(const v1::JobValue& value, bool is_time) {
  if (value.has_number()) {
    return is_time ? time_json(micros_of(value)) : number_json(value.number());
  }
  return value.has_text() ? Json(value.text()) : Json();
}

using Field = std::pair<Column, Cell>;

// A job's line. What was asked for stands behind its name, and the reason gives way to it: a narrow
// terminal cuts columns from the right.
std::vector<Field> fields_of(const v1::Job& job, const v1::JobValues& values,
                             const std::vector<Shown>& shown, bool elastic, std::int64_t now) {
  std::vector<Field> fields = {{{"ID"}, job.id()}, {{"NAME"}, job.spec().name()}};
  for (const Shown& each : shown) {
    fields.push_back({{each.name, true}, text_of(value_of(values, each), each.is_time)});
  }
  const Field experiment{{"EXPERIMENT"}, job.spec().experiment()};
  if (shown.empty()) fields.push_back(experiment);
  fields.push_back({{"STATE"}, {state_name(job.state()), state_tone(job.state())}});
  fields.push_back({{"STEP", true}, human_count(job.progress().global_step())});
  fields.push_back({{"TIME", true}, running_time(job, now)});
  if (elastic) fields.push_back({{"NODES", true}, elastic_text(job)});
  fields.push_back(shown.empty() ? Field{{"REASON"}, job.reason()} : experiment);
  return fields;
}

// Of one job at least.
void print_table(const Session& session, const client::JobListing& listing,
                 const std::vector<Shown>& shown) {
  const bool elastic = std::any_of(listing.jobs.begin(), listing.jobs.end(),
                                   [](const v1::Job& job) { return job.spec().has_elastic(); });
  const std::int64_t now = unix_micros(session.environment.clock.wall_now());
  std::optional<Table> table;
  for (std::size_t i = 0; i < listing.jobs.size(); ++i) {
    std::vector<Column> columns;
    std::vector<Cell> cells;
    for (auto& [column, cell] :
         fields_of(listing.jobs[i], listing.values[i], shown, elastic, now)) {
      columns.push_back(std::move(column));
      cells.push_back(std::move(cell));
    }
    if (!table) table.emplace(std::move(columns));
    table->add(std::move(cells));
  }
  session.out() << table->render(session.look());
}

int list(const Session& session, const Options& options) {
  client::JobFilter filter{.experiment = options.experiment,
                           .states = {},
                           .limit = options.limit,
                           .where = options.where,
                           .order_by = options.order_by,
                           .search = options.search,
                           .show = options.order_by};
  filter.show.insert(filter.show.end(), options.show.begin(), options.show.end());
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
  const auto listing = client->list_with_values(filter);
  if (!listing.ok()) return session.fail(listing.status());
  const std::vector<Shown> shown = shown_of(*listing, options.order_by.size());
  if (options.json) {
    std::vector<Json> rows;
    for (std::size_t i = 0; i < listing->jobs.size(); ++i) {
      Json& row = rows.emplace_back(job_json(listing->jobs[i]));
      for (const Shown& each : shown) {
        row["values"][each.name] = json_of(value_of(listing->values[i], each), each.is_time);
      }
    }
    print_json_rows(session.out(), rows);
  } else if (listing->jobs.empty()) {
    const bool filtered = !options.experiment.empty() || !options.states.empty() ||
                          !options.where.empty() || !options.search.empty();
    session.out() << (filtered ? "No job matches.\n"
                               : "No jobs yet. Submit one: lctl submit FILE\n");
  } else {
    print_table(session, *listing, shown);
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
                "a key, with DESC behind or - before it for the largest first, and --show too: a "
                "column has the values. See docs/searching.md.",
       .examples = "  lctl list\n"
                   "  lctl list --experiment digits --state running --state queued\n"
                   "  lctl list --where 'val/loss < 0.1 and hparams.lr > 1e-3' --sort val/acc\n"
                   "  lctl list --where \"tags.team = 'vision'\" --sort=-start_time\n"
                   "  lctl list --sort=-val/acc --show params.lr --limit 10\n"
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
  command->add_option("--show", options->show, "Also what they have under this key (repeatable)")
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
