// The samples of one shard: consecutive members with the same key.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/data/webdataset/read_only_file.h"
#include "worker/trainer/data/webdataset/tar_reader.h"

namespace lctl::webdataset {

// Where the bytes of one file of a sample lie.
struct SampleField {
  std::string extension;  // "jpg", "seg.png"
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

// A sample that is not read yet.
struct ShardSample {
  std::string key;
  std::vector<SampleField> fields;  // at least one, in the shard's order
  std::string fault;                // why it cannot be used; empty as a rule
  std::string cut;                  // why the shard cannot be read behind it; empty as a rule
};

// Groups members as webdataset's group_by_keys does: a key that comes again later is another
// sample, an extension that comes twice is a fault. Pure. Thread rule: one strand only.
class SampleGrouper {
 public:
  // The sample before this member, when the member begins another one.
  std::optional<ShardSample> add(TarMember member);

  // The last sample.
  std::optional<ShardSample> finish();

 private:
  std::optional<ShardSample> current_;
};

// Walks one shard. Thread rule: one strand only.
class ShardReader {
 public:
  // As TarReader's.
  ShardReader(std::shared_ptr<const ReadOnlyFile> file, std::string name);

  // The next sample; nothing at the end. Where a shard is damaged or truncated, all samples before
  // come first, then the error (as TarReader::next), then nothing.
  std::optional<ShardSample> next();

 private:
  std::optional<ShardSample> end_with(std::exception_ptr error, const std::string& why);

  TarReader members_;
  SampleGrouper grouper_;
  std::exception_ptr error_;
  bool done_ = false;
};

}  // namespace lctl::webdataset
