// A gzipped tar, inflated for the time of its unpacking.
#pragma once

#include <cstdint>
#include <string>

#include "base/descriptor.h"
#include "worker/trainer/data/archives/unpack.h"

namespace lctl::archives {

// A file without a name in the folder's file system: it is gone with this object, or its process.
// (Members of a tar are found from its front, so it cannot be looked through before it is unpacked
// without being inflated twice or kept.) Thread rule: caller locks.
class InflatedTar {
 public:
  // Throws as unpack() does.
  InflatedTar(const std::string& path, const std::string& name, int folder,
              const UnpackOptions& options);

  // Where this process can open it.
  std::string path() const;
  std::uint64_t size() const { return size_; }

  // Its next `bytes` are not needed any more.
  void give_back(std::uint64_t bytes);

 private:
  Descriptor file_;
  std::uint64_t size_ = 0;
  std::uint64_t given_ = 0;
};

}  // namespace lctl::archives
