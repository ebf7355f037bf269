// ModelCheckpoint: where Lightning's rules surprise people, it says so once and what to do.
#include <fmt/format.h>

#include <utility>

#include "worker/trainer/callbacks/model_checkpoint.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/python_format.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {

// A name that is no metric.
void ModelCheckpoint::warn_of_template(std::string_view filename,
                                       const MonitorCandidates& candidates) const {
  for (const std::string& name : template_names(filename)) {
    std::string known;
    bool found = false;
    for (const MonitorCandidate& candidate : candidates) {
      found = found || candidate.name == name;
      known += (known.empty() ? "" : ", ") + candidate.name;
    }
    if (found) continue;
    console::warn(fmt::format(
        "ModelCheckpoint(filename={}): there is no metric `{}`, so 0 stands in its place, as in "
        "Lightning. Name one of: {} (a name with a slash needs auto_insert_metric_name: false).",
        python_repr(filename), name, known));
  }
}

// `last` follows the saves of the best ones, so it is not renewed when nothing got better.
void ModelCheckpoint::warn_of_old_last(const Trainer& trainer) {
  if (std::exchange(warned_of_old_last_, true)) return;
  console::warn(fmt::format(
      "ModelCheckpoint(monitor={}, save_last=True): no new best at step {}, so, as in Lightning, "
      "the `last` checkpoint is not renewed either. For one of the newest state set "
      "every_n_train_steps, or add a second ModelCheckpoint without a monitor.",
      python_repr(std::string_view(*options_.monitor)), trainer.global_step()));
}

// The save waits for a validation that will not trigger it.
void ModelCheckpoint::warn_of_skipped_step(const Trainer& trainer) {
  if (std::exchange(warned_of_skipped_step_, true)) return;
  console::warn(fmt::format(
      "ModelCheckpoint(monitor={}): the metric is not there yet at step {}, so, as in Lightning, "
      "steps are left out until it is, and later ones are ranked by the validation before them. "
      "Set save_on_train_epoch_end: false to save after each validation.",
      python_repr(std::string_view(*options_.monitor)), trainer.global_step()));
}

}  // namespace lctl
