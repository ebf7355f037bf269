// lctl drill: one fault on purpose, and a report of what followed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <stop_token>
#include <thread>
#include <utility>

#include "base/status.h"
#include "client/cli/commands/commands.h"
#include "client/cli/drill_watch.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/terminal/human.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

// The last points of the repeated steps may reach the store a moment behind the progress.
constexpr int kPointTries = 20;
constexpr Duration kPointPause = std::chrono::milliseconds(250);

constexpr int kLabelWidth = 18;  // of the report

struct Options {
  std::string job;
  std::string fault;
  int rank = 0;
  double seconds = 0;
  bool force = false;
  bool json = false;
};

const std::map<std::string, v1::FaultKind>& faults() {
  static const std::map<std::string, v1::FaultKind> all = {
      {"kill-rank", v1::FAULT_KIND_KILL_RANK},
      {"hang", v1::FAULT_KIND_HANG},
      {"preempt", v1::FAULT_KIND_PREEMPT},
      {"partition", v1::FAULT_KIND_PARTITION},
      {"corrupt-checkpoint", v1::FAULT_KIND_CORRUPT_CHECKPOINT}};
  return all;
}

// All that is known when it is over.
struct Report {
  std::string fault;
  int rank = 0;
  v1::DrillResponse begun = {};
  DrillTimes times = {};
  std::int64_t reached_step = 0;
  v1::JobDetails details = {};
  DrillLosses lost = {};

  const v1::Attempt* last() const {
    return details.attempts_size() == 0 ? nullptr : &details.attempts(details.attempts_size() - 1);
  }
  bool restarted() const { return last() != nullptr && last()->number() > begun.job().attempt(); }
  std::int64_t repeated() const {
    return restarted() ? std::max<std::int64_t>(0, reached_step - last()->resumed_at_step()) : 0;
  }
  std::vector<const v1::Transition*> decisions() const {
    std::vector<const v1::Transition*> since;
    for (const v1::Transition& row : details.transitions()) {
      if (row.time_us() >= begun.injected_us()) since.push_back(&row);
    }
    return since;
  }
  bool well() const {
    const v1::JobState state = details.job().state();
    const bool goes_on = times.caught_up.has_value() || state == v1::JOB_STATE_SUCCEEDED;
    return goes_on && lost.points == 0 && lost.checkpoints == 0;
  }
};

double seconds_of(Duration duration) {
  return std::round(std::chrono::duration<double>(duration).count() * 1000) / 1000;
}

Json time_or_null(const std::optional<Duration>& time) {
  return time ? Json(seconds_of(*time)) : Json();
}

Json report_json(const Report& report) {
  Json decisions = Json::array();
  for (const v1::Transition* row : report.decisions()) {
    decisions.push_back(
        {{"after_s", seconds_of(Duration(row->time_us() - report.begun.injected_us()))},
         {"attempt", row->attempt()},
         {"to", state_name(row->to())},
         {"reason", row->reason()}});
  }
  return {{"job", report.begun.job().id()},
          {"fault", report.fault},
          {"rank", report.rank},
          {"node", report.begun.node_name()},
          {"injected", time_json(report.begun.injected_us())},
          {"duration_s", static_cast<double>(report.begun.duration_ms()) / 1000},
          {"noticed_s", time_or_null(report.times.noticed)},
          {"decisions", decisions},
          {"state", state_name(report.details.job().state())},
          {"attempt", report.details.job().attempt()},
          {"resumed_from_checkpoint",
           report.restarted() ? report.last()->resumed_from_checkpoint() : ""},
          {"resumed_at_step", report.restarted() ? Json(report.last()->resumed_at_step()) : Json()},
          {"reached_step", report.reached_step},
          {"steps_repeated", report.repeated()},
          {"training_again_s", time_or_null(report.times.training_again)},
          {"caught_up_s", time_or_null(report.times.caught_up)},
          {"points_lost", report.lost.points},
          {"checkpoints_lost", report.lost.checkpoints},
          {"nothing_lost", report.well()}};
}

std::string after(const std::optional<Duration>& time) {
  return time ? fmt::format("after {:.2f} s", std::chrono::duration<double>(*time).count())
              : std::string("-");
}

void print(const Session& session, const Report& report) {
  const Look& look = session.look();
  const auto row = [&](std::string_view what, std::string_view text) {
    session.out() << look.paint(Tone::kBold, pad(std::string(what), kLabelWidth)) << text << '\n';
  };
  row("fault",
      fmt::format("{} of rank {} on {}, {}", report.fault, report.rank,
                  printable(report.begun.node_name()), printable(job_title(report.begun.job()))));
  row("noticed", after(report.times.noticed));
  std::string_view heading = "decided";
  for (const v1::Transition* decision : report.decisions()) {
    const Duration time(decision->time_us() - report.begun.injected_us());
    const std::string text =
        fmt::format("{:6.2f} s  {}  {}", std::chrono::duration<double>(time).count(),
                    pad(state_name(decision->to()), 9), printable(decision->reason()));
    for (const std::string& line : wrap(text, std::max(20, look.width - kLabelWidth))) {
      row(std::exchange(heading, ""), line);
    }
  }
  if (report.restarted()) {
    const v1::Attempt& attempt = *report.last();
    row("restarted", attempt.resumed_from_checkpoint().empty()
                         ? fmt::format("attempt {}, from the beginning", attempt.number())
                         : fmt::format("attempt {}, from checkpoint {} at step {}",
                                       attempt.number(), attempt.resumed_from_checkpoint(),
                                       human_count(attempt.resumed_at_step())));
  }
  row("training again", after(report.times.training_again));
  row("caught up", fmt::format("{}, with step {}", after(report.times.caught_up),
                               human_count(report.reached_step)));
  row("steps repeated", human_count(report.repeated()));
  row("points lost", human_count(report.lost.points));
  row("checkpoints lost", human_count(report.lost.checkpoints));
}

// Points of the steps around and behind the restart: all that a fault could have cost.
absl::StatusOr<std::int64_t> points_lost(client::Client& client, const Report& report) {
  const std::string& id = report.begun.job().id();
  const std::int64_t from = report.restarted() ? report.last()->resumed_at_step()
                                               : report.begun.job().progress().global_step();
  client::MetricRange range{.from_step = std::max<std::int64_t>(0, from - 1),
                            .to_step = report.reached_step + 1};
  LCTL_ASSIGN_OR_RETURN(const auto keys, client.metrics(id));
  std::int64_t lost = 0;
  for (const v1::MetricSummary& key : keys) {
    range.include_superseded = true;
    LCTL_ASSIGN_OR_RETURN(const auto ever, client.metric(id, key.key(), range));
    range.include_superseded = false;
    LCTL_ASSIGN_OR_RETURN(const auto curve, client.metric(id, key.key(), range));
    lost += lost_points(ever, curve);
  }
  return lost;
}

// Ends when the drill is over, the job has ended, or somebody presses Ctrl-C.
absl::Status follow(const Session& session, client::Client& client, Report& report) {
  DrillWatch watch(report.begun);
  const Clock& clock = session.environment.clock;
  const MonotonicTime begun = clock.monotonic_now();
  std::stop_source over;
  bool finished = false;
  const std::stop_callback interrupted(session.environment.interrupts.first(),
                                       [&] { over.request_stop(); });
  const auto end = client.watch(report.begun.job().id(),
                                {.changed =
                                     [&](const v1::Job& job) {
                                       if (watch.changed(job, clock.monotonic_now() - begun))
                                         return;
                                       finished = true;
                                       over.request_stop();
                                     },
                                 .lost = {},
                                 .reconnected = {}},
                                over.get_token());
  report.times = watch.times();
  report.reached_step = watch.reached_step();
  return finished || end.ok() ? absl::OkStatus() : end.status();
}

absl::Status look_at_losses(client::Client& client, const std::vector<v1::Checkpoint>& before,
                            const std::stop_token& stop, Report& report) {
  const std::string& id = report.begun.job().id();
  LCTL_ASSIGN_OR_RETURN(report.details, client.get(id));
  LCTL_ASSIGN_OR_RETURN(const auto now, client.checkpoints(id));
  report.lost.checkpoints = lost_checkpoints(before, now);
  for (int tries = 0; tries < kPointTries && !stop.stop_requested(); ++tries) {
    LCTL_ASSIGN_OR_RETURN(report.lost.points, points_lost(client, report));
    if (report.lost.points == 0) break;
    std::this_thread::sleep_for(kPointPause);
  }
  return absl::OkStatus();
}

int drill(const Session& session, const Options& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const auto before = client->checkpoints(options.job);
  if (!before.ok()) return session.fail(before.status());
  Report report{.fault = options.fault, .rank = options.rank};
  auto begun = client->drill(
      {.job = options.job,
       .fault = faults().at(options.fault),
       .rank = options.rank,
       .duration = std::chrono::milliseconds(static_cast<std::int64_t>(options.seconds * 1000)),
       .force = options.force});
  if (!begun.ok()) return session.fail(begun.status());
  report.begun = *std::move(begun);
  const std::stop_token stop = session.environment.interrupts.first();
  absl::Status status = follow(session, *client, report);
  if (status.ok()) status = look_at_losses(*client, *before, stop, report);
  if (absl::IsCancelled(status)) {
    session.err() << fmt::format("\nThe job goes on. Look at it: lctl status {}\n",
                                 report.begun.job().id());
    return kExitInterrupted;
  }
  if (!status.ok()) return session.fail(status);
  if (options.json) {
    print_json(session.out(), report_json(report));
  } else {
    print(session, report);
  }
  return report.well() ? kExitOk : kExitFailed;
}

}  // namespace

void add_drill(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program,
      {.name = "drill",
       .summary = "Break something in a running job, and report how it recovers",
       .about =
           "Injects one fault into a job that runs, follows it until training has gone on past "
           "the step that it had reached, and reports what the server decided, how long it took "
           "and what was lost. kill-rank kills a rank's process, hang stops it for a while, "
           "preempt asks the gang to make room, partition cuts the rank's node off from the "
           "server, corrupt-checkpoint kills the rank and damages the newest checkpoint on its "
           "way to the next attempt (never in the store). What follows counts neither against "
           "max_restarts nor as a crash loop. A job without a checkpoint, or without a restart "
           "left, is refused. Exit code 0 only when nothing was lost. Ctrl-C leaves the job "
           "alone.",
       .examples = "  lctl drill @last kill-rank\n"
                   "  lctl drill digits-mlp partition --rank 1 --for 30\n"
                   "  lctl drill k3f corrupt-checkpoint --json | jq .caught_up_s"});
  add_job(command, options->job)->required();
  std::vector<std::string> names;
  for (const auto& [name, kind] : faults()) names.push_back(name);
  command->add_option("FAULT", options->fault, "What to break")
      ->required()
      ->check(CLI::IsMember(names));
  command->add_option("--rank", options->rank, "Whose process or node; default 0")
      ->type_name("RANK")
      ->check(CLI::Range(0, 1'000'000));
  command->add_option("--for", options->seconds, "How long a hang or a partition lasts")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 600.0));
  command->add_flag("--force", options->force, "Also where it may cost work or end the job");
  add_json(command, options->json);
  run_with(command, session, options, drill);
}

}  // namespace lctl::cli
