// All of an archive into a folder, or nothing of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace lctl::archives {

struct UnpackOptions {
  std::function<bool()> stopped;  // asked several times a second; empty = never

  // Told how many bytes it takes up in all, as far as that is known, before they are written; may
  // throw. Empty = no bound but the disk's.
  std::function<void(std::uint64_t bytes)> make_room;

  std::uint64_t most_members = 20'000'000;
};

struct Unpacked {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::uint64_t space = 0;  // bytes of the disk, about
};

// Unpacks the tar, gzipped tar or ZIP archive at `path` into `folder`, which is there and empty.
// `name` is what messages call the archive.
//
// All of the archive is looked through before anything is written: its structure, names and links,
// the number of members, and their size against the disk. Files, folders and links that stay inside
// are made; owners, modes and times are not kept. A gzipped tar is inflated into a file without a
// name first, which gives its space back while members are made of it.
//
// Throws BadSample for what cannot be had from this archive, naming it and the member: it is
// damaged, has too many members, or one that leads out of the folder or is a device. FetchError:
// kDiskFull, kCancelled. std::runtime_error for what the file system refuses.
Unpacked unpack(const std::string& path, const std::string& name,
                const std::filesystem::path& folder, const UnpackOptions& options);

}  // namespace lctl::archives
