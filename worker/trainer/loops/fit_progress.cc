#include "worker/trainer/loops/fit_progress.h"

namespace lctl {

using checkpoint::Dict;

Dict FitProgress::state_dict() const {
  Dict epoch_loop_state;
  epoch_loop_state.set("_batches_that_stepped", batches_that_stepped);
  Dict manual;
  manual.set("total", to_dict(manual_optimizer.total));
  manual.set("current", to_dict(manual_optimizer.current));
  Dict state;
  state.set("state_dict", Dict{});
  state.set("epoch_loop.state_dict", epoch_loop_state);
  state.set("epoch_loop.batch_progress", batch.state_dict());
  state.set("epoch_loop.scheduler_progress", scheduler.state_dict());
  state.set("epoch_loop.automatic_optimization.state_dict", Dict{});
  state.set("epoch_loop.automatic_optimization.optim_progress", optimizer.state_dict());
  state.set("epoch_loop.manual_optimization.state_dict", Dict{});
  state.set("epoch_loop.manual_optimization.optim_step_progress", manual);
  state.set("epoch_loop.val_loop.state_dict", Dict{});
  state.set("epoch_loop.val_loop.batch_progress", val_batch.state_dict());
  state.set("epoch_progress", epoch.state_dict());
  return state;
}

void FitProgress::load_state_dict(const Dict& state) {
  const auto part = [&state](const char* key) -> const Dict& { return state.at(key).as_dict(); };
  if (const auto* stepped = part("epoch_loop.state_dict").find("_batches_that_stepped")) {
    batches_that_stepped = stepped->as_int();
  }
  batch.load_state_dict(part("epoch_loop.batch_progress"));
  scheduler.load_state_dict(part("epoch_loop.scheduler_progress"));
  optimizer.load_state_dict(part("epoch_loop.automatic_optimization.optim_progress"));
  manual_optimizer.load_state_dict(part("epoch_loop.manual_optimization.optim_step_progress"));
  val_batch.load_state_dict(part("epoch_loop.val_loop.batch_progress"));
  epoch.load_state_dict(part("epoch_progress"));
}

Dict TrainerProgress::state_dict() const {
  const auto evaluation = [](Dict batch_progress) {
    Dict loop;
    loop.set("state_dict", Dict{});
    loop.set("batch_progress", std::move(batch_progress));
    return loop;
  };
  Dict loops;
  loops.set("fit_loop", fit.state_dict());
  loops.set("validate_loop", evaluation(validate.state_dict()));
  loops.set("test_loop", evaluation(test.state_dict()));
  loops.set("predict_loop", evaluation(predict.state_dict()));
  return loops;
}

}  // namespace lctl
