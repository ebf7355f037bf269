// Zip files as torch.save lays them out: entries stored, their contents at multiples of 64.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace lctl::agent {

// `zip64`: offsets and counts stand in the structures for large files.
inline std::string zip_file(const std::vector<std::pair<std::string, std::string>>& entries,
                            bool zip64 = false) {
  std::string file;
  std::string directory;
  const auto put = [](std::string& to, std::uint64_t value, int width) {
    for (int i = 0; i < width; ++i) to += static_cast<char>(value >> (8 * i) & 0xff);
  };
  for (const auto& [name, content] : entries) {
    const std::uint64_t offset = file.size();
    const std::size_t padding = (64 - (offset + 30 + name.size() + 4) % 64) % 64;
    const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
    put(file, 0x04034b50, 4);
    put(file, 0, 10);
    put(file, crc, 4);
    put(file, content.size(), 4);
    put(file, content.size(), 4);
    put(file, name.size(), 2);
    put(file, 4 + padding, 2);
    file += name;
    put(file, 0x4246, 2);
    put(file, padding, 2);
    file += std::string(padding, 'Z') + content;

    put(directory, 0x02014b50, 4);
    put(directory, 0, 12);
    put(directory, crc, 4);
    put(directory, content.size(), 4);
    put(directory, content.size(), 4);
    put(directory, name.size(), 2);
    put(directory, zip64 ? 12 : 0, 2);
    put(directory, 0, 10);
    put(directory, zip64 ? 0xffffffff : offset, 4);
    directory += name;
    if (zip64) {
      put(directory, 1, 2);
      put(directory, 8, 2);
      put(directory, offset, 8);
    }
  }
  const std::uint64_t begin = file.size();
  file += directory;
  if (zip64) {
    const std::uint64_t record = file.size();
    put(file, 0x06064b50, 4);
    put(file, 44, 8);
    put(file, 0, 12);
    put(file, entries.size(), 8);
    put(file, entries.size(), 8);
    put(file, directory.size(), 8);
    put(file, begin, 8);
    put(file, 0x07064b50, 4);
    put(file, 0, 4);
    put(file, record, 8);
    put(file, 1, 4);
  }
  put(file, 0x06054b50, 4);
  put(file, 0, 4);
  put(file, zip64 ? 0xffff : entries.size(), 2);
  put(file, zip64 ? 0xffff : entries.size(), 2);
  put(file, zip64 ? 0xffffffff : directory.size(), 4);
  put(file, zip64 ? 0xffffffff : begin, 4);
  put(file, 0, 2);
  return file;
}

}  // namespace lctl::agent
