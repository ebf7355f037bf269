// Whether the ranks of this node still get anywhere, and what they say when they do not.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/id.h"
#include "proto/lctl/v1/session.pb.h"
#include "worker/agent/run_folder.h"
#include "worker/agent/stall_watch.h"
#include "worker/pulse/pulse_reader.h"

namespace lctl::agent {

// Looks at the pulse of each rank once a second and tells when one has stalled, and when it goes on
// after all. A rank is watched from the moment that it keeps a pulse. What follows is the server's
// to decide: it alone sees the whole gang.
//
// Time in which this daemon itself did not run (the machine slept, somebody stopped it) counts
// against no rank, nor does a debugger that holds one. Thread rule: one strand only, the agent's.
class HangWatch {
 public:
  using Tell = std::function<void(const v1::RankStalled&)>;

  HangWatch(boost::asio::io_context& io, const Clock& clock, Tell tell);

  // `hang_after_ms` as in JobSpec.
  void add(const AttemptId& attempt, int rank, RunFolder folder, const RankProcess& process,
           std::int64_t hang_after_ms);
  void remove(const AttemptId& attempt, int rank);

  // Makes the attempt's ranks here write their stacks into their logs, and tells how each is once
  // it has, or cannot: then the log says why, and what the kernel knows of its threads.
  void dump(const AttemptId& attempt);

  // All that is stalled: after a reconnect.
  void tell_again();

  // Once, now, all ranks: what the timer does.
  void look_at_all();

 private:
  struct Watched {
    RunFolder folder;
    RankProcess process;
    StallWatch watch;
    std::optional<pulse::PulseReader> pulse;
    bool has_none = false;  // what is in the pulse's place is none
    bool stalled = false;   // as told
    // While its stacks are waited for: how often it had written them before, and until when.
    std::optional<std::uint64_t> dumps_before;
    MonotonicTime dump_until{};
  };

  void poll();
  void find_pulse(const AttemptId& attempt, int rank, Watched& watched);
  void look(const AttemptId& attempt, int rank, Watched& watched, MonotonicTime now);
  void begin_dump(const AttemptId& attempt, int rank, Watched& watched);
  void check_dumps();
  void explain(const AttemptId& attempt, int rank, const Watched& watched, const std::string& why);
  v1::RankStalled message(const AttemptId& attempt, int rank, const Watched& watched) const;

  const Clock& clock_;
  const Tell tell_;
  std::map<AttemptId, std::map<int, Watched>> ranks_;
  boost::asio::steady_timer poll_timer_;
  boost::asio::steady_timer dump_timer_;
  std::optional<MonotonicTime> polled_;  // last time
};

}  // namespace lctl::agent
