// A download that is not finished: bytes, what they are a part of, and their hash so far.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/descriptor.h"
#include "worker/trainer/data/fetch/cache_record.h"
#include "worker/trainer/data/fetch/sha256.h"

namespace lctl {

// The caller holds the URL's lock. Throws std::system_error. Thread rule: caller locks.
class PartialFile {
 public:
  // Opens what an earlier process left in `folder` under `key`, or begins. What was left is kept
  // only when it can be continued: with a validator, or with a checksum that will judge the whole
  // (`has_checksum`); and after a restart of the machine only with the latter.
  PartialFile(int folder, const std::string& key, bool has_checksum,
              const std::function<bool()>& stopped);

  std::uint64_t size() const { return size_; }
  const PartialRecord& record() const { return record_; }
  char last_byte() const { return last_byte_; }  // size() > 0

  // Was it put together from more than one answer of the server?
  bool stitched() const { return stitched_; }
  void continue_here() { stitched_ = true; }

  // Empties it, to become a part of something else.
  void restart(const Validators& validators, std::optional<std::uint64_t> total);

  void append(std::string_view bytes);

  // Bytes that its disk has for it.
  std::uint64_t space_left() const;

  // All bytes are there: to the disk with them. Returns the SHA-256.
  std::string finish();

  // Removes both files; nothing else may be called afterwards.
  void discard();

 private:
  void open();
  bool load(bool has_checksum, const std::function<bool()>& stopped);

  int folder_;
  std::string name_;
  Descriptor file_;
  PartialRecord record_;
  Sha256 hash_;
  std::uint64_t size_ = 0;
  char last_byte_ = 0;
  bool stitched_ = false;
};

}  // namespace lctl
