// A file without a folder.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <string_view>

#include "base/check.h"
#include "base/descriptor.h"

namespace lctl::agent {

inline Descriptor memory_file(std::string_view bytes) {
  Descriptor file(memfd_create("lctl-test", MFD_CLOEXEC));
  while (!bytes.empty()) {
    const ssize_t written = write(file.get(), bytes.data(), bytes.size());
    LCTL_CHECK(written > 0, "memory takes bytes");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return file;
}

}  // namespace lctl::agent
