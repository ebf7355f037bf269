// Lightning's progress counters: plain data, and exactly what a checkpoint holds under "loops".
//
// Each tracker has two copies: `total` counts over the whole fit, `current` over this epoch or run.
// Within a copy: ready >= started >= processed >= completed, each raised in turn as an event
// proceeds. Which of them differ in a checkpoint tells where the run was when it was saved.
#pragma once

#include <cstdint>

#include "worker/trainer/checkpoint/value.h"

namespace lctl {

struct ReadyCompleted {
  std::int64_t ready = 0;
  std::int64_t completed = 0;

  void reset() { *this = {}; }
  void reset_on_restart() { ready = completed; }  // forget what had begun but not ended
  void increment_by(std::int64_t n) { ready += n, completed += n; }
};

struct ReadyStartedCompleted : ReadyCompleted {
  std::int64_t started = 0;

  void reset() { *this = {}; }
  void reset_on_restart() { ready = started = completed; }
  void increment_by(std::int64_t n) { ready += n, completed += n, started += n; }
};

struct AllFour : ReadyStartedCompleted {
  std::int64_t processed = 0;

  void reset() { *this = {}; }
  void reset_on_restart() { ready = started = processed = completed; }
  void increment_by(std::int64_t n) { ready += n, completed += n, started += n, processed += n; }
};

checkpoint::Dict to_dict(const ReadyCompleted& counters);
checkpoint::Dict to_dict(const ReadyStartedCompleted& counters);
checkpoint::Dict to_dict(const AllFour& counters);
void from_dict(const checkpoint::Dict& state, ReadyCompleted& counters);
void from_dict(const checkpoint::Dict& state, ReadyStartedCompleted& counters);
void from_dict(const checkpoint::Dict& state, AllFour& counters);

// Thread rule of all below: caller locks.
template <typename Counters>
struct Progress {
  Counters total;
  Counters current;

  void increment_ready() { ++total.ready, ++current.ready; }
  void increment_started() { ++total.started, ++current.started; }
  void increment_processed() { ++total.processed, ++current.processed; }
  void increment_completed() { ++total.completed, ++current.completed; }
  void increment_by(std::int64_t n) { total.increment_by(n), current.increment_by(n); }
  void reset() { total.reset(), current.reset(); }
  void reset_on_run() { current.reset(); }
  void reset_on_restart() { current.reset_on_restart(); }

  checkpoint::Dict state_dict() const {
    checkpoint::Dict state;
    state.set("total", to_dict(total));
    state.set("current", to_dict(current));
    return state;
  }
  void load_state_dict(const checkpoint::Dict& state) {
    from_dict(state.at("total").as_dict(), total);
    from_dict(state.at("current").as_dict(), current);
  }
};

struct BatchProgress : Progress<AllFour> {
  bool is_last_batch = false;

  void reset() { Progress::reset(), is_last_batch = false; }
  void reset_on_run() { Progress::reset_on_run(), is_last_batch = false; }
  void increment_by(std::int64_t n, bool last) { Progress::increment_by(n), is_last_batch = last; }

  checkpoint::Dict state_dict() const {
    checkpoint::Dict state = Progress::state_dict();
    state.set("is_last_batch", is_last_batch);
    return state;
  }
  void load_state_dict(const checkpoint::Dict& state) {
    Progress::load_state_dict(state);
    is_last_batch = state.at("is_last_batch").as_bool();
  }
};

using EpochProgress = Progress<AllFour>;
using SchedulerProgress = Progress<ReadyCompleted>;

struct OptimizerProgress {
  Progress<ReadyCompleted> step;
  Progress<ReadyStartedCompleted> zero_grad;

  void reset() { step.reset(), zero_grad.reset(); }
  void reset_on_run() { step.reset_on_run(), zero_grad.reset_on_run(); }
  void reset_on_restart() { step.reset_on_restart(), zero_grad.reset_on_restart(); }

  // {"optimizer": {"step": …, "zero_grad": …}}
  checkpoint::Dict state_dict() const;
  void load_state_dict(const checkpoint::Dict& state);
};

}  // namespace lctl
