// Appends events to a rank's spool (docs/formats/spool.md). The trainer's only way to the outside.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/status.h"
#include "proto/lctl/v1/event.pb.h"
#include "worker/spool/format.h"

namespace lctl::spool {

// One file, one writer. Records become visible to a reader whole or not at all, in order; a process
// killed at any byte leaves a readable prefix.
//
// append() copies the record into a memory buffer and returns; a background thread writes the
// buffer with write(2) within `flush_interval`, so the caller never waits for the disk. flush()
// forces it. Data survives the death of the process once written (not the loss of power: the spool
// is resent work of seconds, checkpoints are what survives that). Errors are sticky: after a failed
// write (disk full) every later call returns the same status. Thread rule: internally locked.
class SpoolWriter {
 public:
  struct Options {
    std::filesystem::path
        file;  // made when absent; an existing file is continued after its last whole record
    std::int64_t flush_interval_us = 20'000;
    std::size_t max_buffered_bytes = 8 << 20;  // append() waits when the disk is this far behind
  };

  static absl::StatusOr<std::unique_ptr<SpoolWriter>> open(Options options);
  virtual ~SpoolWriter() = default;  // flushes

  // Adds one record and returns the offset of the next one. InvalidArgument when the event is
  // larger than kMaxRecordBytes; nothing is written then and later calls work.
  virtual absl::StatusOr<std::uint64_t> append(const v1::Event& event) = 0;

  // Offset at which the next record will start: "now" in this rank's history.
  virtual std::uint64_t offset() const = 0;

  // Returns when all appended records are in the file.
  virtual absl::Status flush() = 0;
};

}  // namespace lctl::spool
