// lctl logs: what the ranks printed.
#include <algorithm>

#include "client/cli/commands/commands.h"
#include "client/cli/log_printer.h"

namespace lctl::cli {
namespace {

struct Options {
  std::string job;
  bool follow = false;
  int rank = -1;
  int attempt = 0;
  int tail = 0;
};

LogPrinter::Origin origin_of(const v1::JobDetails& details, const Options& options) {
  if (details.attempts_size() > 1 && options.attempt == 0) {
    return LogPrinter::Origin::kAttemptAndRank;
  }
  const auto& resources = details.job().spec().resources();
  const bool one_rank = options.rank >= 0 || resources.nodes() * resources.devices_per_node() <= 1;
  return one_rank ? LogPrinter::Origin::kNone : LogPrinter::Origin::kRank;
}

int logs(const Session& session, const Options& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const auto details = client->get(options.job);
  if (!details.ok()) return session.fail(details.status());
  LogPrinter printer(session.out(), session.look(), origin_of(*details, options));
  bool any = false;
  const client::LogSink sink = [&](const v1::LogChunk& chunk) {
    any = true;
    return printer.take(chunk);
  };
  client::LogQuery query{
      .job = details->job().id(), .attempt = options.attempt, .rank = options.rank};
  // Interrupted only while following: else Ctrl-C ends the program as it does everywhere.
  std::stop_token stop;
  if (options.tail > 0) {
    // The server cuts by bytes; the lines are counted here.
    query.tail_bytes = std::max<std::int64_t>(64 << 10, std::int64_t{options.tail} * 1024);
    printer.hold_last(static_cast<std::size_t>(options.tail));
    const absl::Status status = client->logs(query, sink);
    if (!status.ok()) return session.fail(status);
    if (options.follow) printer.release();
  }
  if (options.tail == 0 || options.follow) {
    if (options.follow) {
      stop = session.environment.interrupts.first();
      query.follow = true;
      // More than can have come since the first reading; what was printed is left out.
      if (options.tail > 0) query.tail_bytes = 1 << 20;
    }
    const absl::Status status = client->logs(query, sink, stop);
    if (absl::IsCancelled(status)) {
      printer.finish();
      return kExitInterrupted;
    }
    if (!status.ok()) return session.fail(status);
  }
  printer.finish();
  if (!any) {
    const bool part = options.rank >= 0 || options.attempt > 0;
    session.err() << (part ? "No output of such a rank or attempt.\n" : "No output yet.\n");
  }
  return kExitOk;
}

}  // namespace

void add_logs(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program,
      {.name = "logs",
       .summary = "Show what a job's ranks printed",
       .about = "Prints the captured standard output and standard error of the job's ranks, of "
                "all attempts unless told otherwise. Lines of several ranks begin with their "
                "rank. With -f it goes on until the job ends, also across a restart of the server; "
                "Ctrl-C ends the following, not the job.",
       .examples = "  lctl logs @last\n"
                   "  lctl logs -f digits-mlp --rank 0\n"
                   "  lctl logs @last --attempt 2 --tail 50"});
  add_job(command, options->job)->required();
  command->add_flag("-f,--follow", options->follow, "Go on until the job ends");
  command->add_option("--rank", options->rank, "Only this rank")
      ->type_name("N")
      ->check(CLI::Range(0, 4'194'303));
  command->add_option("--attempt", options->attempt, "Only this attempt")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("-n,--tail", options->tail, "Only the last N lines of each stream")
      ->type_name("N")
      ->check(CLI::Range(1, 100'000));
  run_with(command, session, options, logs);
}

}  // namespace lctl::cli
