#include "worker/agent/hang_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "worker/agent/process_look.h"
#include "worker/agent/process_start.h"

namespace lctl::agent {
namespace {

constexpr std::chrono::seconds kEvery{1};
// Between two looks: more, and this daemon did not run.
constexpr Duration kOwnPause = std::chrono::seconds(4);
// For a rank to write its stacks.
constexpr Duration kDumpPatience = std::chrono::seconds(5);
constexpr std::chrono::milliseconds kDumpEvery{20};

spdlog::logger& log() {
  static spdlog::logger& own = logger("hangs");
  return own;
}

std::int64_t millis(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

HangWatch::HangWatch(boost::asio::io_context& io, const Clock& clock, Tell tell)
    : clock_(clock), tell_(std::move(tell)), poll_timer_(io), dump_timer_(io) {}

void HangWatch::add(const AttemptId& attempt, int rank, RunFolder folder,
                    const RankProcess& process, std::int64_t hang_after_ms) {
  const bool idle = ranks_.empty();
  ranks_[attempt].insert_or_assign(
      rank,
      Watched{.folder = std::move(folder), .process = process, .watch = StallWatch(hang_after_ms)});
  if (!idle) return;
  polled_.reset();
  poll();
}

void HangWatch::remove(const AttemptId& attempt, int rank) {
  const auto found = ranks_.find(attempt);
  if (found == ranks_.end()) return;
  found->second.erase(rank);
  if (found->second.empty()) ranks_.erase(found);
  if (ranks_.empty()) poll_timer_.cancel();
}

void HangWatch::poll() {
  look_at_all();
  poll_timer_.expires_after(kEvery);
  poll_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !ranks_.empty()) poll();
  });
}

void HangWatch::look_at_all() {
  const MonotonicTime now = clock_.monotonic_now();
  const bool away = polled_ && now - *polled_ > kOwnPause;
  if (away) {
    log().warn("this daemon did not run for {} ms; no rank is blamed for that",
               millis(now - *polled_));
  }
  polled_ = now;
  for (auto& [attempt, ranks] : ranks_) {
    for (auto& [rank, watched] : ranks) {
      if (away) watched.watch.start_anew(now);
      look(attempt, rank, watched, now);
    }
  }
}

void HangWatch::look(const AttemptId& attempt, int rank, Watched& watched, MonotonicTime now) {
  find_pulse(attempt, rank, watched);
  if (!watched.pulse) return;
  const absl::StatusOr<pulse::Page> page = watched.pulse->read();
  if (!page.ok()) return;
  watched.watch.look(now, *page);
  if (watched.watch.stalled(now) && is_traced(process_state(watched.process.rank))) {
    watched.watch.start_anew(now);
  }
  const bool stalled = watched.watch.stalled(now);
  if (stalled == watched.stalled) return;
  watched.stalled = stalled;
  if (stalled) {
    log().warn("{} rank {} has made no progress for {} s", attempt.str(), rank,
               millis(watched.watch.silence(now)) / 1000);
  } else {
    log().info("{} rank {} goes on", attempt.str(), rank);
  }
  tell_(message(attempt, rank, watched));
}

void HangWatch::find_pulse(const AttemptId& attempt, int rank, Watched& watched) {
  if (watched.pulse || watched.has_none) return;
  auto opened = pulse::PulseReader::open(watched.folder.pulse(rank), watched.process.rank);
  if (opened.ok()) {
    watched.pulse = *std::move(opened);
  } else if (absl::IsFailedPrecondition(opened.status())) {
    watched.has_none = true;
    log().warn("{} rank {} is not watched for hangs: {}", attempt.str(), rank,
               message_of(opened.status()));
  }
}

void HangWatch::tell_again() {
  for (const auto& [attempt, ranks] : ranks_) {
    for (const auto& [rank, watched] : ranks) {
      if (watched.stalled) tell_(message(attempt, rank, watched));
    }
  }
}

void HangWatch::dump(const AttemptId& attempt) {
  const auto found = ranks_.find(attempt);
  if (found == ranks_.end()) return;
  for (auto& [rank, watched] : found->second) begin_dump(attempt, rank, watched);
  check_dumps();
}

void HangWatch::begin_dump(const AttemptId& attempt, int rank, Watched& watched) {
  if (watched.dumps_before) return;  // asked already
  find_pulse(attempt, rank, watched);
  const pid_t pid = watched.process.rank;
  const char state = process_state(pid);
  const absl::StatusOr<pulse::Page> page =
      watched.pulse ? watched.pulse->read() : absl::NotFoundError("it keeps no pulse");
  if (!page.ok() || page->takes_dumps == 0) {
    explain(attempt, rank, watched, "its program does not write them");
  } else if (state == 'T' || is_traced(state)) {
    explain(attempt, rank, watched, "its process is " + describe_state(pid));
  } else {
    const auto process = open_process(pid, watched.process.rank_start);
    if (!process.ok() || !signal_process(*process, pulse::dump_signal()).ok()) return;
    watched.dumps_before = page->dumps;
    watched.dump_until = clock_.monotonic_now() + kDumpPatience;
  }
}

// Tells of those that have written their stacks, and of those that will not.
void HangWatch::check_dumps() {
  const MonotonicTime now = clock_.monotonic_now();
  bool waiting = false;
  for (auto& [attempt, ranks] : ranks_) {
    for (auto& [rank, watched] : ranks) {
      if (!watched.dumps_before) continue;
      const absl::StatusOr<pulse::Page> page = watched.pulse->read();
      const bool written = page.ok() && page->dumps > *watched.dumps_before;
      if (page.ok() && !written && now < watched.dump_until) {
        waiting = true;
        continue;
      }
      watched.dumps_before.reset();
      if (!written) {
        explain(attempt, rank, watched, "it did not answer");
        continue;
      }
      v1::RankStalled told = message(attempt, rank, watched);
      told.set_stacks_told(true);
      tell_(told);
    }
  }
  if (!waiting) return;
  dump_timer_.expires_after(kDumpEvery);
  dump_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) check_dumps();
  });
}

// In place of its stacks.
void HangWatch::explain(const AttemptId& attempt, int rank, const Watched& watched,
                        const std::string& why) {
  const absl::Status noted = watched.folder.add_note(
      rank, fmt::format("there are no stacks of rank {}: {}; its threads, with what they sleep in: "
                        "{}",
                        rank, why, describe_threads(watched.process.rank)));
  if (!noted.ok()) log().warn("{}", message_of(noted));
  v1::RankStalled told = message(attempt, rank, watched);
  told.set_stacks_told(true);
  tell_(told);
}

v1::RankStalled HangWatch::message(const AttemptId& attempt, int rank,
                                   const Watched& watched) const {
  v1::RankStalled told;
  told.set_job_id(attempt.job.str());
  told.set_attempt(attempt.number);
  told.set_rank(rank);
  told.set_stalled(watched.stalled);
  told.set_process(describe_state(watched.process.rank));
  if (!watched.pulse) return told;
  const MonotonicTime now = clock_.monotonic_now();
  const pulse::Page& page = watched.watch.page();
  told.set_silent_ms(millis(watched.watch.silence(now)));
  told.set_limit_ms(millis(watched.watch.limit().value_or(Duration::zero())));
  told.set_phase(std::string(pulse::name_of(static_cast<pulse::Phase>(page.phase))));
  told.set_in_batch(page.in_batch != 0);
  told.set_step(page.step);
  told.set_collectives_begun(static_cast<std::int64_t>(page.begun));
  told.set_collectives_passed(static_cast<std::int64_t>(page.passed));
  const std::uint64_t known = std::min<std::uint64_t>(page.begun, page.recent.size());
  for (std::uint64_t number = page.begun - known + 1; number <= page.begun; ++number) {
    told.add_recent_collectives(std::string(
        pulse::name_of(static_cast<pulse::Collective>(page.recent[number % page.recent.size()]))));
  }
  return told;
}

}  // namespace lctl::agent
