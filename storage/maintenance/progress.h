// How long pieces of work tell how far they have come, and are ended early.
#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "base/status.h"

namespace lctl::storage {

struct WorkProgress {
  const char* phase = "";  // one word or two, for people
  std::int64_t done = 0;
  std::int64_t total = 0;  // 0 = not known
};

// Called often: it must be quick. False ends the work early, with Cancelled.
using ProgressSink = absl::FunctionRef<bool(const WorkProgress&)>;

inline absl::Status work_was_ended() { return absl::CancelledError("it was ended early"); }

}  // namespace lctl::storage
