// The batches of one pass, as work that anybody may do.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "worker/trainer/data/batch.h"

namespace lctl {

// One batch, to be made by one thread or by several together. Thread rule: make() by any threads,
// each part once; finish() once, after all parts.
class BatchWork {
 public:
  virtual ~BatchWork() = default;

  virtual std::size_t parts() const = 0;  // >= 1

  // Whether a part takes some microseconds: whoever waits for another batch may do one.
  virtual bool quick() const { return false; }

  // Throws what the data set throws; the batch is lost then.
  virtual void make(std::size_t part) = 0;

  virtual Batch finish() = 0;
};

// All of it, by the caller alone.
inline Batch make_whole(BatchWork& work) {
  for (std::size_t part = 0; part < work.parts(); ++part) work.make(part);
  return work.finish();
}

// Samples that a thread takes at a time of a batch of `samples` that take time: few, so that all
// threads end together, but not one, so that they do not write next to each other all the time.
inline std::size_t samples_of_a_part(std::size_t samples) {
  constexpr std::size_t kParts = 16;
  constexpr std::size_t kMost = 8;
  return std::clamp<std::size_t>(samples / kParts, 1, kMost);
}

// Decides on the training thread what the next batch is made of: here are all random draws and the
// order of the batches, so that neither depends on the workers. Thread rule: one strand only; its
// work may be done on other threads and outlive it.
class BatchSource {
 public:
  virtual ~BatchSource() = default;

  // The next batch, made now by the caller; nothing at the end.
  virtual std::optional<Batch> make_next() = 0;

  // The next batch as work; null at the end.
  virtual std::unique_ptr<BatchWork> next_work() = 0;

  // Takes the random draws for the first batch now, and not when it is asked for: torch does so for
  // a loader with workers.
  virtual void look_ahead() {}

  // Passes over a batch; false at the end.
  virtual bool skip_one() = 0;
};

}  // namespace lctl
