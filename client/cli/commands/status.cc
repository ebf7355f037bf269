// lctl status: everything about one job, or the whole system at a glance.
#include <fmt/format.h>

#include <map>

#include "client/cli/commands/commands.h"
#include "client/cli/follow.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/terminal/human.h"
#include "client/cli/terminal/table.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

constexpr std::size_t kMetricsShown = 12;
constexpr std::size_t kCheckpointsShown = 5;
constexpr std::size_t kEndedJobsShown = 5;

struct Options {
  std::string job;
  bool follow = false;
  bool verbose = false;
  bool json = false;
};

// A job that has ended has no rate and no time left.
std::string ended_progress(const v1::Progress& progress) {
  v1::Progress end = progress;
  end.set_steps_per_second(0);
  end.set_stage("");
  return plain_progress(end);
}

void print_facts(const Session& session, const v1::JobDetails& details, std::int64_t now) {
  const v1::Job& job = details.job();
  const Look& look = session.look();
  const v1::Progress& progress = job.progress();
  Facts facts;
  facts.add("job", job_title(job), Tone::kBold);
  facts.add("experiment", job.spec().experiment());
  facts.add("tags", tags_text(job));
  facts.add("note", job.note());
  facts.add("state", state_name(job.state()), state_tone(job.state()));
  facts.add("why", job.reason());
  facts.add("no retries", job.retries_cancelled());
  for (const auto& node : job.excluded_nodes()) {
    facts.add("left out", fmt::format("{}: {}", node.node_name(), node.reason()));
  }
  // None were asked for by what a script logs from outside.
  if (job.spec().resources().nodes() > 0) {
    facts.add("resources", resources_text(job, look));
  }
  std::string submitted = human_time(job.submitted_us());
  if (!job.submitted_by().empty()) submitted += " by " + job.submitted_by();
  facts.add("submitted", submitted);
  if (details.has_source()) facts.add("code", code_text(details.source()));
  if (job.started_us() != 0) {
    std::string started = human_time(job.started_us());
    started += client::is_final(job.state()) ? ", took " : ", running for ";
    facts.add("started", started + running_time(job, now));
  }
  if (progress.global_step() > 0 || progress.time_us() != 0) {
    facts.add("progress",
              client::is_final(job.state()) ? ended_progress(progress) : plain_progress(progress));
  }
  session.out() << facts.render(look);
}

// How training is fed, and what the tuner of its loader did.
void print_data_loading(const Session& session, const v1::DataLoading& loading) {
  Facts facts;
  std::string workers =
      loading.workers() == 0 ? "the training thread" : fmt::format("{} workers", loading.workers());
  if (loading.tuned()) workers += ", found by measuring (num_workers: auto)";
  facts.add("data from", workers);
  const double share =
      loading.total_seconds() > 0 ? loading.waited_seconds() / loading.total_seconds() : 0;
  facts.add("waited", fmt::format("{:.1f}% of the time for batches", 100 * share));
  facts.add("ahead", human_size(loading.bytes_ahead()) + " of batches");
  if (loading.skipped_samples() > 0) {
    facts.add("skipped", human_count(loading.skipped_samples()) + " bad samples", Tone::kBad);
  }
  session.out() << '\n' << facts.render(session.look());
  if (loading.changes().empty()) return;
  Table table({{"TUNED AT"}, {"WORKERS", true}, {"WHY"}});
  for (const auto& change : loading.changes()) {
    table.add({human_time(change.time_us()),
               fmt::format("{} to {}", change.before(), change.after()), change.reason()});
  }
  session.out() << '\n' << table.render(session.look());
}

// "0, 2-5" of ascending ranks.
std::string ranges_text(const google::protobuf::RepeatedField<std::int32_t>& ranks) {
  std::string text;
  for (int i = 0; i < ranks.size();) {
    int last = i;
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
    if (!text.empty()) text += ", ";
    text += last == i ? fmt::format("{}", ranks[i]) : fmt::format("{}-{}", ranks[i], ranks[last]);
    i = last + 1;
  }
  return text;
}

// What its ranks run on.
void print_environments(const Session& session, const v1::JobDetails& details) {
  for (const auto& shared : details.environments()) {
    const v1::RankEnvironment& environment = shared.environment();
    Facts facts;
    facts.add(shared.ranks_size() == 1 ? "rank" : "ranks", ranges_text(shared.ranks()));
    facts.add("host", environment.host());
    facts.add("device", environment.device());
    std::string cpus = counted(environment.cpus(), "core", "cores");
    if (!environment.cpu().empty()) cpus += " of " + environment.cpu();
    facts.add("cpu", cpus);
    facts.add("memory", human_size(environment.memory_bytes()));
    const auto& versions = environment.versions();
    for (const auto& [name, version] : std::map(versions.begin(), versions.end()))
      facts.add(name, version);
    session.out() << '\n' << facts.render(session.look());
  }
}

// Of the newest attempt that failed: what its culprit said last.
void print_last_lines(const Session& session,
                      const google::protobuf::RepeatedPtrField<v1::Attempt>& attempts) {
  for (auto attempt = attempts.rbegin(); attempt != attempts.rend(); ++attempt) {
    if (attempt->last_lines().empty()) continue;
    session.out() << fmt::format("\nLast output of rank {}, attempt {}:\n", attempt->culprit(),
                                 attempt->number());
    for (const auto& line : attempt->last_lines()) {
      session.out() << "  " << printable(line) << '\n';
    }
    return;
  }
}

void print_attempts(const Session& session, const v1::JobDetails& details, std::int64_t now) {
  if (details.attempts().empty()) return;
  const bool elastic = details.job().spec().has_elastic();
  std::vector<Column> columns = {{"ATTEMPT", true},   {"STARTED"}, {"TIME", true},
                                 {"FROM STEP", true}, {"OUTCOME"}, {"REASON"}};
  if (elastic) columns.insert(columns.begin() + 1, Column{"NODES", true});
  Table table(std::move(columns));
  for (const auto& attempt : details.attempts()) {
    const std::int64_t end = attempt.finished_us() != 0 ? attempt.finished_us() : now;
    std::vector<Cell> row = {std::to_string(attempt.number()),
                             human_time(attempt.started_us()),
                             human_duration(Duration(end - attempt.started_us())),
                             human_count(attempt.resumed_at_step()),
                             attempt.outcome().empty() ? "running" : attempt.outcome(),
                             attempt.reason()};
    if (elastic) row.insert(row.begin() + 1, Cell(std::to_string(nodes_of(attempt.ranks()))));
    table.add(std::move(row));
  }
  session.out() << '\n' << table.render(session.look());
  print_last_lines(session, details.attempts());
}

void print_ranks(const Session& session, const v1::Job& job) {
  if (job.ranks().empty()) return;
  Table table({{"RANK", true},
               {"NODE"},
               {"DEVICE"},
               {"PID", true},
               {"STATE"},
               {"EXIT", true},
               {"MESSAGE"}});
  for (const auto& rank : job.ranks()) {
    const bool ended =
        rank.state() == v1::RANK_STATE_EXITED || rank.state() == v1::RANK_STATE_DRAINED;
    const Tone tone = ended && rank.exit_code() != 0 ? Tone::kBad : Tone::kPlain;
    table.add({std::to_string(rank.rank()),
               rank.node_name(),
               fmt::format("{}:{}", rank.device_kind(), rank.device_index()),
               rank.pid() != 0 ? std::to_string(rank.pid()) : "-",
               {rank_state_name(rank.state()), tone},
               ended ? std::to_string(rank.exit_code()) : "-",
               rank.message()});
  }
  session.out() << '\n' << table.render(session.look());
}

void print_metrics(const Session& session, const std::vector<v1::MetricSummary>& metrics,
                   const std::string& job) {
  if (metrics.empty()) return;
  Table table({{"METRIC"}, {"LAST", true}, {"MIN", true}, {"MAX", true}, {"STEP", true}});
  for (std::size_t i = 0; i < metrics.size() && i < kMetricsShown; ++i) {
    const auto& metric = metrics[i];
    table.add({metric.key(), human_number(metric.last().value()), human_number(metric.min()),
               human_number(metric.max()), human_count(metric.last().step())});
  }
  session.out() << '\n' << table.render(session.look());
  if (metrics.size() > kMetricsShown) {
    session.out() << fmt::format("and {} more: lctl metrics {}\n", metrics.size() - kMetricsShown,
                                 job);
  }
}

void print_checkpoints(const Session& session, const std::vector<v1::Checkpoint>& checkpoints,
                       const std::string& job) {
  if (checkpoints.empty()) return;
  Table table({{"CHECKPOINT"}, {"STEP", true}, {"KIND"}, {"SIZE", true}, {"NAME"}});
  const std::size_t from =
      checkpoints.size() > kCheckpointsShown ? checkpoints.size() - kCheckpointsShown : 0;
  for (std::size_t i = from; i < checkpoints.size(); ++i) {
    const auto& written = checkpoints[i].written();
    table.add({checkpoints[i].id(), human_count(written.global_step()), kind_name(written.kind()),
               human_size(written.size()), file_name_of(written)});
  }
  session.out() << '\n' << table.render(session.look());
  if (from > 0) {
    session.out() << fmt::format("and {} older: lctl checkpoints list {}\n", from, job);
  }
}

int show_job(const Session& session, client::Client& client, const Options& options) {
  const auto details = client.get(options.job);
  if (!details.ok()) return session.fail(details.status());
  const v1::Job& job = details->job();
  if (options.follow) return follow_job(session, client, job, options.json);
  const auto checkpoints = client.checkpoints(job.id());
  if (!checkpoints.ok()) return session.fail(checkpoints.status());
  if (options.json) {
    print_json(session.out(), details_json(*details, *checkpoints));
    return kExitOk;
  }
  const auto metrics = client.metrics(job.id());
  if (!metrics.ok()) return session.fail(metrics.status());
  const std::int64_t now = unix_micros(session.environment.clock.wall_now());
  print_facts(session, *details, now);
  if (options.verbose) {
    if (job.progress().has_data_loading())
      print_data_loading(session, job.progress().data_loading());
    print_environments(session, *details);
  }
  print_attempts(session, *details, now);
  print_ranks(session, job);
  print_metrics(session, *metrics, job.id());
  print_checkpoints(session, *checkpoints, job.id());
  return kExitOk;
}

struct Overview {
  v1::ServerInfo server;
  std::vector<v1::Node> nodes;
  std::vector<v1::Job> jobs;
};

Json overview_json(const Session& session, const Overview& all) {
  Json counts = Json::object();
  for (const v1::JobState state : all_states()) counts[state_name(state)] = 0;
  for (const auto& job : all.jobs)
    counts[state_name(job.state())] = int(counts[state_name(job.state())]) + 1;
  Json nodes = Json::array();
  for (const auto& node : all.nodes) nodes.push_back(node_json(node));
  return {{"server",
           {{"address", session.server},
            {"version", all.server.version()},
            {"started", time_json(all.server.started_us())},
            {"data_dir", all.server.data_dir()}}},
          {"jobs", counts},
          {"nodes", nodes}};
}

void print_overview(const Session& session, const Overview& all) {
  const std::int64_t now = unix_micros(session.environment.clock.wall_now());
  std::int64_t ready = 0;
  std::int64_t devices = 0;
  std::int64_t used = 0;
  for (const auto& node : all.nodes) {
    if (node.state() != v1::NODE_STATE_READY) continue;
    ++ready;
    devices += node.devices_size();
    used += node.devices_in_use();
  }
  std::map<v1::JobState, int> counts;
  for (const auto& job : all.jobs) ++counts[job.state()];
  std::string jobs;
  for (const v1::JobState state : all_states()) {
    if (counts[state] == 0) continue;
    if (!jobs.empty()) jobs += ", ";
    jobs += fmt::format("{} {}", counts[state], state_name(state));
  }
  Facts facts;
  facts.add("server",
            fmt::format("lctl-server {} at {}, up for {}", all.server.version(), session.server,
                        human_duration(Duration(now - all.server.started_us()))));
  facts.add("store", all.server.data_dir());
  facts.add("nodes", fmt::format("{} of {} ready, {} of {} devices in use", ready, all.nodes.size(),
                                 used, devices));
  facts.add("jobs", jobs.empty() ? "none yet; submit one: lctl submit FILE" : jobs);
  session.out() << facts.render(session.look());

  Table table({{"ID"}, {"NAME"}, {"STATE"}, {"STEP", true}, {"TIME", true}, {"REASON"}});
  std::size_t ended = 0;
  for (const auto& job : all.jobs) {
    if (client::is_final(job.state()) && ++ended > kEndedJobsShown) continue;
    table.add({job.id(),
               job.spec().name(),
               {state_name(job.state()), state_tone(job.state())},
               human_count(job.progress().global_step()),
               running_time(job, now),
               job.reason()});
  }
  if (!table.empty()) session.out() << '\n' << table.render(session.look());
  if (ended > kEndedJobsShown) {
    session.out() << fmt::format("and {} older that ended: lctl list\n", ended - kEndedJobsShown);
  }
}

int show_overview(const Session& session, client::Client& client, const Options& options) {
  const auto server = client.server_info();
  if (!server.ok()) return session.fail(server.status());
  const auto nodes = client.nodes();
  if (!nodes.ok()) return session.fail(nodes.status());
  const auto jobs = client.list();
  if (!jobs.ok()) return session.fail(jobs.status());
  const Overview all{*server, *nodes, *jobs};
  if (options.json) {
    print_json(session.out(), overview_json(session, all));
  } else {
    print_overview(session, all);
  }
  return kExitOk;
}

int status(const Session& session, const Options& options) {
  if (options.job.empty() && options.follow) {
    return session.misuse("--follow needs a job: lctl status JOB --follow (@last is the newest)");
  }
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  return options.job.empty() ? show_overview(session, *client, options)
                             : show_job(session, *client, options);
}

}  // namespace

void add_status(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program,
      {.name = "status",
       .summary = "Show one job in detail, or the whole system",
       .about = "With a job: its state and why it is in it, its attempts, its ranks with node, "
                "process and exit code, the newest metrics and checkpoints. Without one: the "
                "server, the nodes and the jobs at a glance. With --follow it shows the job's "
                "progress until it ends; the exit code then tells what became of it, and Ctrl-C "
                "ends the following, not the job.",
       .examples = "  lctl status\n"
                   "  lctl status @last\n"
                   "  lctl status digits-mlp --follow\n"
                   "  lctl status @last --json | jq .ranks"});
  add_job(command, options->job);
  command->add_flag("-f,--follow", options->follow, "Show its progress until it ends");
  command->add_flag("-v,--verbose", options->verbose,
                    "Also how training is fed, and what the ranks run on");
  add_json(command, options->json);
  run_with(command, session, options, status);
}

}  // namespace lctl::cli
