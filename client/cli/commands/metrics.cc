// lctl metrics: the curves of a job.
#include <fmt/format.h>

#include <algorithm>

#include "client/cli/commands/commands.h"
#include "client/cli/json.h"
#include "client/cli/terminal/human.h"
#include "client/cli/terminal/plot.h"
#include "client/cli/terminal/table.h"
#include "client/cli/terminal/text.h"
#include "jobspec/edit_distance.h"

namespace lctl::cli {
namespace {

constexpr std::size_t kPlotsShown = 6;
constexpr int kPlotPoints = 2000;

struct Options {
  std::string job;
  std::vector<std::string> keys;
  bool plot = false;
  int height = 10;
  int tail = 20;
  bool all_attempts = false;
  bool system = false;
  bool json = false;
};

using Points = std::vector<v1::MetricPoint>;

absl::StatusOr<Points> points_of(client::Client& client, const Options& options,
                                 const std::string& key) {
  client::MetricRange range{.include_superseded = options.all_attempts};
  if (options.plot) range.max_points = kPlotPoints;
  auto points = client.metric(options.job, key, range);
  const bool none = points.ok() && points->empty();
  if (!none && !absl::IsNotFound(points.status())) return points;
  // Is it the key that is wrong, or the job?
  const auto known = client.metrics(options.job);
  if (!known.ok()) return known.status();
  std::vector<std::string_view> names;
  for (const auto& metric : *known) names.push_back(metric.key());
  if (names.empty()) {
    return absl::NotFoundError(fmt::format("job {} has no metrics yet", options.job));
  }
  if (none && std::find(names.begin(), names.end(), key) != names.end()) return points;
  const std::string nearest = jobspec::nearest_name(key, names);
  return absl::NotFoundError(fmt::format(
      "job {} has no metric `{}`{}; `lctl metrics {}` lists its keys", options.job, key,
      nearest.empty() ? "" : fmt::format("; did you mean `{}`?", nearest), options.job));
}

PlotSeries series_of(const std::string& key, const Points& points) {
  PlotSeries series{.name = key};
  for (const auto& point : points) {
    series.points.push_back({static_cast<double>(point.step()), point.value()});
  }
  return series;
}

void print_plot(const Session& session, const Options& options,
                const std::vector<PlotSeries>& series) {
  if (series.size() == 1) {
    std::string title = printable(series.front().name);
    if (!series.front().points.empty()) {
      const PlotPoint& last = series.front().points.back();
      title =
          session.look().paint(Tone::kBold, title) +
          fmt::format("  {} at step {}", human_number(last.y), human_count(std::int64_t(last.x)));
    }
    session.out() << title << '\n';
  }
  session.out() << render_plot(series, {.rows = options.height}, session.look());
}

void print_points(const Session& session, const Options& options, const Points& points) {
  std::vector<Column> columns = {{"STEP", true}, {"EPOCH", true}, {"VALUE", true}, {"TIME"}};
  if (options.all_attempts) columns.insert(columns.begin(), {"ATTEMPT", true});
  Table table(columns);
  const auto tail = static_cast<std::size_t>(options.tail);
  const std::size_t from = tail > 0 && points.size() > tail ? points.size() - tail : 0;
  for (std::size_t i = from; i < points.size(); ++i) {
    const auto& point = points[i];
    std::vector<Cell> cells = {human_count(point.step()), std::to_string(point.epoch()),
                               human_number(point.value()), human_time(point.time_us())};
    if (options.all_attempts) cells.insert(cells.begin(), std::to_string(point.attempt()));
    table.add(cells);
  }
  session.out() << table.render(session.look());
  if (from > 0) {
    session.out() << fmt::format("the last {} of {} points; --tail 0 shows all\n", tail,
                                 human_count(static_cast<std::int64_t>(points.size())));
  }
}

Json points_json(const Options& options, const Points& points) {
  Json rows = Json::array();
  for (const auto& point : points) {
    Json row = point_json(point);
    if (options.all_attempts) row["attempt"] = point.attempt();
    rows.push_back(row);
  }
  return rows;
}

int show_keys(const Session& session, client::Client& client, const Options& options) {
  std::vector<PlotSeries> series;
  Json json = Json::object();
  for (const std::string& key : options.keys) {
    const auto points = points_of(client, options, key);
    if (!points.ok()) return session.fail(points.status());
    if (options.json) {
      const Json rows = points_json(options, *points);
      if (options.keys.size() == 1) {
        print_json_rows(session.out(), std::vector<Json>(rows.begin(), rows.end()));
        return kExitOk;
      }
      json[key] = rows;
    } else if (options.plot) {
      series.push_back(series_of(key, *points));
    } else {
      if (options.keys.size() > 1) {
        session.out() << session.look().paint(Tone::kBold, printable(key)) << '\n';
      }
      print_points(session, options, *points);
    }
  }
  if (options.json) print_json(session.out(), json);
  if (options.plot && !options.json) print_plot(session, options, series);
  return kExitOk;
}

int show_summaries(const Session& session, client::Client& client, const Options& options) {
  auto metrics = client.metrics(options.job);
  if (!metrics.ok()) return session.fail(metrics.status());
  std::erase_if(*metrics, [&](const v1::MetricSummary& each) {
    return each.measured_by_nodes() != options.system;
  });
  if (options.json) {
    std::vector<Json> rows;
    for (const auto& metric : *metrics) rows.push_back(summary_json(metric));
    print_json_rows(session.out(), rows);
    return kExitOk;
  }
  if (metrics->empty()) {
    session.out() << (options.system ? "Its nodes have measured nothing yet.\n"
                                     : "No metrics yet.\n");
    return kExitOk;
  }
  if (options.plot) {
    std::size_t shown = 0;
    for (const auto& metric : *metrics) {
      if (metric.key() == "epoch") continue;  // every run has it, and it is a staircase
      if (++shown > kPlotsShown) continue;
      const auto points = points_of(client, options, metric.key());
      if (!points.ok()) return session.fail(points.status());
      if (shown > 1) session.out() << '\n';
      print_plot(session, options, {series_of(metric.key(), *points)});
    }
    if (shown > kPlotsShown) {
      session.out() << fmt::format("\nand {} more keys; name those that you want to see\n",
                                   shown - kPlotsShown);
    }
    return kExitOk;
  }
  Table table(
      {{"KEY"}, {"POINTS", true}, {"LAST", true}, {"STEP", true}, {"MIN", true}, {"MAX", true}});
  for (const auto& metric : *metrics) {
    table.add({metric.key(), human_count(metric.points()), human_number(metric.last().value()),
               human_count(metric.last().step()), human_number(metric.min()),
               human_number(metric.max())});
  }
  session.out() << table.render(session.look());
  return kExitOk;
}

int metrics(const Session& session, const Options& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  return options.keys.empty() ? show_summaries(session, *client, options)
                              : show_keys(session, *client, options);
}

}  // namespace

void add_metrics(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program,
      {.name = "metrics",
       .summary = "Show, plot or export a job's metrics",
       .about = "Without a key: all keys with their last, least and largest value. With a key: "
                "its points in step order, as one curve: what an attempt did behind the "
                "checkpoint that the next one resumed from is left out, unless asked for. "
                "--plot draws the curve, several keys in one picture.",
       .examples = "  lctl metrics @last\n"
                   "  lctl metrics @last val/acc\n"
                   "  lctl metrics digits-mlp train/loss val/loss --plot\n"
                   "  lctl metrics @last --system\n"
                   "  lctl metrics @last train/loss --json > loss.json"});
  add_job(command, options->job)->required();
  command->add_option("KEY", options->keys, "A metric such as train/loss; several are possible")
      ->type_name("");
  command->add_flag("-p,--plot", options->plot, "Draw the curve");
  command->add_option("--height", options->height, "Rows of the plot (default: 10)")
      ->type_name("N")
      ->check(CLI::Range(2, 100));
  command->add_option("-n,--tail", options->tail, "The last N points (default: 20; 0: all)")
      ->type_name("N")
      ->check(CLI::Range(0, 1'000'000'000));
  command->add_flag("--all-attempts", options->all_attempts, "Also points that a resume replaced");
  command->add_flag("--system", options->system, "What its nodes measured: CPU, memory, GPUs");
  add_json(command, options->json);
  run_with(command, session, options, metrics);
}

}  // namespace lctl::cli
