// The pulse of another process.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "base/descriptor.h"
#include "base/status.h"
#include "worker/pulse/page.h"

namespace lctl::pulse {

// Reads memory that belongs to somebody else's program: nothing that it does to it can harm or
// block the reader. Thread rule: caller locks.
class PulseReader {
 public:
  // The page that `link` leads to. NotFound: there is none yet. FailedPrecondition: it is not a
  // pulse of process `pid`, and never will be.
  static absl::StatusOr<PulseReader> open(const std::filesystem::path& link, pid_t pid);

  // As it is now. Errors: it is no pulse any more.
  absl::StatusOr<Page> read() const;

 private:
  PulseReader(Descriptor memory, pid_t pid) : memory_(std::move(memory)), pid_(pid) {}

  Descriptor memory_;
  pid_t pid_;
};

}  // namespace lctl::pulse
