// ZIP archives over a mapping: which members there are, and their bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/trainer/data/formats/shared_bytes.h"

namespace lctl {

struct ZipMember {
  std::string name;
  bool deflated = false;
  std::uint64_t data_offset = 0;  // in the archive
  std::uint64_t packed_size = 0;
  std::uint64_t size = 0;
  std::uint32_t crc32 = 0;
  std::uint32_t mode = 0;  // st_mode, where the writer was a Unix program; else 0
};

// Members are stored or deflated, ZIP64 or not. minizip reads the directory once; bytes come
// straight from the archive's. Thread rule: immutable; read() from any thread.
class ZipArchive {
 public:
  // Throws BadSample "<archive>: …" for what is no archive, and for members that lie outside the
  // file, are encrypted or compressed otherwise. Of members of one name the last counts, as in
  // Python.
  explicit ZipArchive(SharedBytes archive);

  const std::vector<ZipMember>& members() const { return members_; }
  const std::string& name() const { return archive_.name(); }

  // A stored member is a part of the archive, and its checksum is not looked at: that would read
  // all of it. A deflated one is inflated and checked; memory is asked for only if that many bytes
  // could come out. Throws BadSample.
  SharedBytes read(const ZipMember& member) const;

 private:
  SharedBytes archive_;
  std::vector<ZipMember> members_;
};

}  // namespace lctl
