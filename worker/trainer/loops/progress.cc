#include "worker/trainer/loops/progress.h"

namespace lctl {

using checkpoint::Dict;

Dict to_dict(const ReadyCompleted& counters) {
  Dict state;
  state.set("ready", counters.ready);
  state.set("completed", counters.completed);
  return state;
}

Dict to_dict(const ReadyStartedCompleted& counters) {
  Dict state = to_dict(static_cast<const ReadyCompleted&>(counters));
  state.set("started", counters.started);
  return state;
}

Dict to_dict(const AllFour& counters) {
  Dict state = to_dict(static_cast<const ReadyStartedCompleted&>(counters));
  state.set("processed", counters.processed);
  return state;
}

void from_dict(const Dict& state, ReadyCompleted& counters) {
  counters.ready = state.at("ready").as_int();
  counters.completed = state.at("completed").as_int();
}

void from_dict(const Dict& state, ReadyStartedCompleted& counters) {
  from_dict(state, static_cast<ReadyCompleted&>(counters));
  counters.started = state.at("started").as_int();
}

void from_dict(const Dict& state, AllFour& counters) {
  from_dict(state, static_cast<ReadyStartedCompleted&>(counters));
  counters.processed = state.at("processed").as_int();
}

Dict OptimizerProgress::state_dict() const {
  Dict optimizer;
  optimizer.set("step", step.state_dict());
  optimizer.set("zero_grad", zero_grad.state_dict());
  Dict state;
  state.set("optimizer", optimizer);
  return state;
}

void OptimizerProgress::load_state_dict(const Dict& state) {
  const Dict& optimizer = state.at("optimizer").as_dict();
  step.load_state_dict(optimizer.at("step").as_dict());
  zero_grad.load_state_dict(optimizer.at("zero_grad").as_dict());
}

}  // namespace lctl
