// A file of which any thread reads any part: shards are read so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace lctl::webdataset {

// An open regular file. Errors are std::runtime_error with the path and the system's reason.
// Thread rule: immutable; any thread may read, at the same time.
class ReadOnlyFile {
 public:
  static std::shared_ptr<const ReadOnlyFile> open(const std::string& path);
  ~ReadOnlyFile();
  ReadOnlyFile(const ReadOnlyFile&) = delete;
  ReadOnlyFile& operator=(const ReadOnlyFile&) = delete;

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }  // bytes, when it was opened

  // Fills `into` from that byte on. Returns how many bytes it got: fewer at the file's end only.
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> into) const;

 private:
  ReadOnlyFile(std::string path, int descriptor);

  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace lctl::webdataset
