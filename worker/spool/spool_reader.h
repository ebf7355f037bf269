// Reads a spool while its writer may still append (docs/formats/spool.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace lctl::spool {

struct Record {
  std::uint64_t offset = 0;      // where the record starts
  std::uint64_t end_offset = 0;  // where the next one starts
  std::string event;             // serialized v1::Event, CRC checked
};

// Thread rule: one strand only.
class SpoolReader {
 public:
  // A missing file reads as empty until it appears. `offset` must be a record boundary (one that a
  // Record named, or 0).
  static std::unique_ptr<SpoolReader> open(std::filesystem::path file, std::uint64_t offset);
  virtual ~SpoolReader() = default;

  // Whole records from the current position, at most about `max_bytes` of them (at least one when
  // one is there). Empty: nothing complete yet; a torn last record counts as nothing. DataLoss: a
  // record before the end of the file fails its CRC or has an impossible length; the text says file
  // and offset; the position stays.
  virtual absl::StatusOr<std::vector<Record>> read(std::size_t max_bytes) = 0;

  virtual std::uint64_t offset() const = 0;
};

}  // namespace lctl::spool
