#include "client/cli/follow.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "base/status.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/terminal/human.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

constexpr int kLastWordsLines = 12;
constexpr std::int64_t kLastWordsBytes = 16 * 1024;

// The rank whose end explains the failure: the first that ended with an error by itself. Ranks that
// were stopped because of it carry a signal's code or none.
int guilty_rank(const v1::Job& job) {
  for (const auto& rank : job.ranks()) {
    if (!rank.message().empty() && rank.exit_code() != 0 && rank.exit_code() < 128) {
      return rank.rank();
    }
  }
  for (const auto& rank : job.ranks()) {
    if (rank.exit_code() != 0) return rank.rank();
  }
  return 0;
}

// The end of what the guilty rank printed, so that the reason is on the screen already.
void print_last_words(const Session& session, client::Client& client, const v1::Job& job) {
  if (job.attempt() == 0) return;
  const int rank = guilty_rank(job);
  std::map<int, std::string> texts;  // by kind: stdout, stderr
  const absl::Status status = client.logs(
      {.job = job.id(), .attempt = job.attempt(), .rank = rank, .tail_bytes = kLastWordsBytes},
      [&](const v1::LogChunk& chunk) {
        texts[chunk.stream().kind()] += chunk.text();
        return true;
      });
  if (!status.ok()) return;  // the job's own reason has been told
  std::string text = texts[v1::STREAM_KIND_STDERR];
  if (text.empty()) text = texts[v1::STREAM_KIND_STDOUT];
  std::deque<std::string> lines;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    lines.push_back(printable(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (lines.size() > kLastWordsLines) lines.pop_front();
  }
  if (lines.empty()) return;
  session.out() << fmt::format("Last output of rank {}:\n", rank);
  for (const std::string& line : lines) {
    session.out() << "  " << session.look().paint(Tone::kDim, line) << '\n';
  }
}

int exit_code_of_state(v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_SUCCEEDED:
      return kExitOk;
    case v1::JOB_STATE_STOPPED:
      return kExitStopped;
    default:
      return kExitFailed;
  }
}

// The newest values of the job's metrics, as many as fit into two lines; "" = there are none.
std::string last_metrics(client::Client& client, const v1::Job& job, const Look& look) {
  const auto metrics = client.metrics(job.id());
  if (!metrics.ok()) return "";  // an extra: the job's end has been told
  std::string text;
  for (const auto& metric : *metrics) {
    if (metric.key() == "epoch") continue;
    const std::string part = printable(metric.key()) + " " + human_number(metric.last().value());
    if (display_width(text) + display_width(part) + 3 > 2 * (look.width - 2)) break;
    text += (text.empty() ? "" : ", ") + part;
  }
  return text;
}

void print_hints(std::ostream& out, const v1::Job& job, const Look& look) {
  const std::string& id = job.id();
  const auto hint = [&](const std::string& command, std::string_view what) {
    out << "  " << look.paint(Tone::kAccent, command)
        << std::string(static_cast<std::size_t>(std::max(2, 34 - display_width(command))), ' ')
        << what << '\n';
  };
  if (job.state() == v1::JOB_STATE_SUCCEEDED) {
    hint(fmt::format("lctl metrics {} --plot", id), "its curves");
    hint(fmt::format("lctl checkpoints list {}", id), "its checkpoints");
    return;
  }
  if (job.attempt() > 0) hint(fmt::format("lctl logs {}", id), "all that its ranks printed");
  hint(fmt::format("lctl status {}", id), "its attempts and ranks");
  hint(fmt::format("lctl resume {}", id),
       job.progress().global_step() > 0 ? "go on from its newest checkpoint" : "try it again");
}

}  // namespace

FollowView::FollowView(const Environment& environment)
    : environment_(environment), live_(environment.out, environment.clock) {}

void FollowView::announce(const v1::Job& job) {
  const Look& look = environment_.out_look;
  std::string line = look.paint(state_tone(job.state()), pad(state_name(job.state()), 9));
  std::string rest = printable(job.reason());
  if (job.attempt() > 1 && job.state() == v1::JOB_STATE_RUNNING) {
    rest = fmt::format("attempt {}{}{}", job.attempt(), rest.empty() ? "" : ": ", rest);
  }
  if (!rest.empty()) line += "  " + rest;
  while (line.back() == ' ') line.pop_back();
  live_.print(line);
}

void FollowView::show_progress(const v1::Job& job) {
  const v1::Progress& progress = job.progress();
  if (progress.time_us() == 0 && progress.global_step() == 0) return;  // none has come yet
  if (environment_.out_look.terminal) {
    live_.update(progress_line(progress, environment_.out_look));
    return;
  }
  const MonotonicTime now = environment_.clock.monotonic_now();
  const bool epoch_ended = progress.epoch() != epoch_;
  if (!epoch_ended && told_ && now - *told_ < kPlainInterval) return;
  epoch_ = progress.epoch();
  told_ = now;
  live_.print("  " + plain_progress(progress));
}

void FollowView::changed(const v1::Job& job) {
  const bool active = job.state() == v1::JOB_STATE_RUNNING || job.state() == v1::JOB_STATE_STOPPING;
  const bool other_state = job.state() != state_ || job.attempt() != attempt_;
  const bool other_reason = !active && job.reason() != reason_;
  state_ = job.state();
  attempt_ = job.attempt();
  reason_ = job.reason();
  if (client::is_final(job.state())) return;  // finished() says it
  if (other_state || other_reason) announce(job);
  if (active) show_progress(job);
}

void FollowView::lost(std::string_view why) {
  live_.print(environment_.out_look.paint(Tone::kBusy, "the server is gone") + " (" +
              printable(why) + ")\n  the job goes on; waiting for the server to come back");
}

void FollowView::reconnected() {
  live_.print(environment_.out_look.paint(Tone::kGood, "the server is back"));
}

void FollowView::finished(const v1::Job& job) {
  live_.clear();
  const Look& look = environment_.out_look;
  const v1::Progress& progress = job.progress();
  std::string line = look.paint(state_tone(job.state()), state_name(job.state())) + "  " +
                     printable(job_title(job));
  if (job.started_us() != 0) line += " in " + running_time(job, job.finished_us());
  if (progress.global_step() > 0) {
    line += ", " + counted(progress.global_step(), "step", "steps");
    if (job.attempt() > 1) line += fmt::format(", {} attempts", job.attempt());
  }
  environment_.out << line << '\n';
  if (job.state() != v1::JOB_STATE_SUCCEEDED && !job.reason().empty()) {
    for (const std::string& part : wrap(printable(job.reason()), look.width - 2)) {
      environment_.out << "  " << part << '\n';
    }
  }
  environment_.out << std::flush;
}

int follow_job(const Session& session, client::Client& client, const v1::Job& job, bool json) {
  FollowView view(session.environment);
  client::WatchObserver observer;
  if (json) {
    observer.changed = [&](const v1::Job& now) { print_json_line(session.out(), job_json(now)); };
  } else {
    observer.changed = [&](const v1::Job& now) { view.changed(now); };
    observer.lost = [&](std::string_view why) { view.lost(why); };
    observer.reconnected = [&] { view.reconnected(); };
  }
  const auto end = client.watch(job.id(), observer, session.environment.interrupts.first());
  view.clear();
  if (absl::IsCancelled(end.status())) {
    session.err() << fmt::format(
        "\nThe job goes on. Follow it again: lctl status {0} --follow; stop it: lctl stop {0}\n",
        job.id());
    return kExitInterrupted;
  }
  if (!end.ok()) return session.fail(end.status());
  if (!json) {
    view.finished(*end);
    for (const std::string& line :
         wrap(last_metrics(client, *end, session.look()), session.look().width - 2)) {
      session.out() << "  " << line << '\n';
    }
    if (end->state() == v1::JOB_STATE_FAILED) print_last_words(session, client, *end);
    print_hints(session.out(), *end, session.look());
  }
  session.out() << std::flush;
  return exit_code_of_state(end->state());
}

}  // namespace lctl::cli
