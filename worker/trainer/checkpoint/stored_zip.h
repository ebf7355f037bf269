// Writes ZIP archives of stored entries as LibTorch's PyTorchStreamWriter lays them out, byte for
// byte: every entry's data begins at a multiple of 64 bytes, so readers can map it. LibTorch's own
// writer spends more time on checksums than the disk on the data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace lctl::checkpoint {

// Thread rule: caller locks.
class StoredZip {
 public:
  // Takes the archive's bytes in order; what it throws ends the writing.
  using Sink = std::function<void(const void* data, std::size_t size)>;

  // Entries are "<folder>/<name>".
  StoredZip(std::string folder, Sink sink);

  // Every name once.
  void add(std::string_view name, const void* data, std::size_t size);

  // The entries that every archive of LibTorch's has ("version", ".data/serialization_id"), and the
  // directory. The last call.
  void finish();

 private:
  struct Entry {
    std::string path;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::uint32_t crc = 0;
  };

  void put(const std::string& bytes);
  void add_serialization_id();
  static std::string directory_header_of(const Entry& entry);

  const std::string folder_;
  const Sink sink_;
  std::uint64_t position_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace lctl::checkpoint
