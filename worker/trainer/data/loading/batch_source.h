// The batches of one pass, as work that anybody may do.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "worker/trainer/data/batch.h"

namespace lctl {

// Makes one batch; called once, by any thread. Throws what the data set throws.
using BatchTask = std::function<Batch()>;

// Decides on the training thread what the next batch is made of: here are all random draws and the
// order of the batches, so that neither depends on the workers. Thread rule: one strand only; its
// tasks may run on other threads and outlive it.
class BatchSource {
 public:
  virtual ~BatchSource() = default;

  // The next batch, made now by the caller; nothing at the end.
  virtual std::optional<Batch> make_next() = 0;

  // The next batch as a task; null at the end.
  virtual BatchTask next_task() = 0;

  // Takes the random draws for the first batch now, and not when it is asked for: torch does so for
  // a loader with workers.
  virtual void look_ahead() {}

  // Passes over a batch; false at the end.
  virtual bool skip_one() = 0;
};

}  // namespace lctl
