// Samples that cannot be used: what is wrong with them, and how many a loader has passed over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

#include "worker/trainer/core/errors.h"

namespace lctl {

// The data is wrong (a corrupt image, a truncated record, a missing column): reading it again
// cannot help. The message names the file, and the place in it.
class BadSample : public MisconfigurationException {
 public:
  using MisconfigurationException::MisconfigurationException;
};

// What `on_bad_sample: skip` has left out. Thread rule: thread-safe.
class SkippedSamples {
 public:
  // The first few are said at once, as warnings; all are counted.
  void add(const std::string& why);

  std::int64_t count() const;

 private:
  mutable std::mutex mutex_;
  std::int64_t count_ = 0;
};

// To be called while an exception of making the sample `name` is handled. With `skipped` the sample
// is counted there; without, or when it is no fault of the sample (memory ran out, the run is to
// end), it throws the same kind of error again, with the sample's name in front where it is one.
void handle_sample_error(const std::string& name, SkippedSamples* skipped);

// Throws BadSample for a batch of which nothing is left: data that is bad throughout.
[[noreturn]] void throw_nothing_left(std::size_t samples);

}  // namespace lctl
