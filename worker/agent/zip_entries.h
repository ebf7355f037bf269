// Where the entries of a zip file lie: what cutting a checkpoint at its tensors needs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"

namespace lctl::agent {

struct ZipEntry {
  std::uint64_t offset = 0;  // of its local header
  std::string name;          // "archive/data/0"
};

struct ZipLayout {
  std::vector<ZipEntry> entries;  // by offset, without repeats, each before `directory`
  std::uint64_t directory = 0;    // where the central directory begins
};

// Reads the central directory (zip64, too) of an open file of `size` bytes; entries' contents are
// not looked at. InvalidArgument: it is no whole zip file, or its directory is larger than 64 MiB.
// `name` is for errors of reading. Source: PKWARE's APPNOTE.TXT, 4.3.
absl::StatusOr<ZipLayout> zip_layout(int fd, std::uint64_t size, const std::filesystem::path& name);

}  // namespace lctl::agent
