#include "worker/agent/zip_entries.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "worker/agent/content_hash.h"

namespace lctl::agent {
namespace {

constexpr std::uint32_t kEnd = 0x06054b50;
constexpr std::uint32_t kEnd64 = 0x06064b50;
constexpr std::uint32_t kEnd64Locator = 0x07064b50;
constexpr std::uint32_t kDirectoryEntry = 0x02014b50;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kEnd64Bytes = 56;
constexpr std::size_t kLocatorBytes = 20;
constexpr std::size_t kDirectoryEntryBytes = 46;
constexpr std::size_t kLongestComment = 65'535;
constexpr std::uint64_t kLargestDirectory = std::uint64_t{64} << 20;
constexpr std::uint16_t kZip64Field = 1;
constexpr std::uint64_t kIn64 = 0xffffffff;  // the value stands in a zip64 structure

absl::Status no_zip() { return absl::InvalidArgumentError("not a whole zip file"); }

// `bytes` has them all.
std::uint64_t number(std::string_view bytes, std::size_t at, int width) {
  std::uint64_t value = 0;
  for (int i = width - 1; i >= 0; --i)
    value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
  return value;
}

struct Directory {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

// Where in the file's last bytes the end record begins.
std::optional<std::size_t> find_end(std::string_view tail) {
  if (tail.size() < kEndBytes) return std::nullopt;
  for (std::size_t at = tail.size() - kEndBytes + 1; at-- > 0;) {
    if (number(tail, at, 4) == kEnd && at + kEndBytes + number(tail, at + 20, 2) == tail.size())
      return at;
  }
  return std::nullopt;
}

absl::StatusOr<Directory> find_directory(int fd, std::uint64_t size,
                                         const std::filesystem::path& name) {
  const std::uint64_t wanted =
      std::min<std::uint64_t>(size, kLocatorBytes + kEndBytes + kLongestComment);
  LCTL_ASSIGN_OR_RETURN(const std::string tail, read_at(fd, size - wanted, wanted, name));
  const std::optional<std::size_t> end = find_end(tail);
  if (!end.has_value()) return no_zip();
  if (*end >= kLocatorBytes && number(tail, *end - kLocatorBytes, 4) == kEnd64Locator) {
    const std::uint64_t at = number(tail, *end - kLocatorBytes + 8, 8);
    LCTL_ASSIGN_OR_RETURN(const std::string record, read_at(fd, at, kEnd64Bytes, name));
    if (record.size() < kEnd64Bytes || number(record, 0, 4) != kEnd64) return no_zip();
    return Directory{.offset = number(record, 48, 8), .size = number(record, 40, 8)};
  }
  return Directory{.offset = number(tail, *end + 16, 4), .size = number(tail, *end + 12, 4)};
}

// The offset in an entry's zip64 field, which holds only what did not fit: sizes first.
std::optional<std::uint64_t> offset_in_zip64(std::string_view extra, bool size_before,
                                             bool packed_size_before) {
  while (extra.size() >= 4) {
    const std::uint64_t length = number(extra, 2, 2);
    if (extra.size() < 4 + length) return std::nullopt;
    if (number(extra, 0, 2) == kZip64Field) {
      const std::size_t at = (size_before ? 8U : 0U) + (packed_size_before ? 8U : 0U);
      if (length < at + 8) return std::nullopt;
      return number(extra, 4 + at, 8);
    }
    extra.remove_prefix(4 + length);
  }
  return std::nullopt;
}

absl::StatusOr<std::vector<ZipEntry>> parse_directory(std::string_view bytes) {
  std::vector<ZipEntry> entries;
  while (!bytes.empty()) {
    if (bytes.size() < kDirectoryEntryBytes || number(bytes, 0, 4) != kDirectoryEntry)
      return no_zip();
    const std::uint64_t name = number(bytes, 28, 2);
    const std::uint64_t extra = number(bytes, 30, 2);
    const std::uint64_t length = kDirectoryEntryBytes + name + extra + number(bytes, 32, 2);
    if (bytes.size() < length) return no_zip();
    std::uint64_t offset = number(bytes, 42, 4);
    if (offset == kIn64) {
      const auto found =
          offset_in_zip64(bytes.substr(kDirectoryEntryBytes + name, extra),
                          number(bytes, 24, 4) == kIn64, number(bytes, 20, 4) == kIn64);
      if (!found.has_value()) return no_zip();
      offset = *found;
    }
    entries.push_back(
        {.offset = offset, .name = std::string(bytes.substr(kDirectoryEntryBytes, name))});
    bytes.remove_prefix(length);
  }
  return entries;
}

}  // namespace

absl::StatusOr<ZipLayout> zip_layout(int fd, std::uint64_t size,
                                     const std::filesystem::path& name) {
  LCTL_ASSIGN_OR_RETURN(const Directory directory, find_directory(fd, size, name));
  if (directory.size > kLargestDirectory || directory.offset > size ||
      directory.size > size - directory.offset) {
    return no_zip();
  }
  LCTL_ASSIGN_OR_RETURN(const std::string bytes,
                        read_at(fd, directory.offset, directory.size, name));
  if (bytes.size() < directory.size) return no_zip();
  ZipLayout layout{.entries = {}, .directory = directory.offset};
  LCTL_ASSIGN_OR_RETURN(layout.entries, parse_directory(bytes));
  auto& entries = layout.entries;
  std::sort(entries.begin(), entries.end(),
            [](const ZipEntry& a, const ZipEntry& b) { return a.offset < b.offset; });
  entries.erase(
      std::unique(entries.begin(), entries.end(),
                  [](const ZipEntry& a, const ZipEntry& b) { return a.offset == b.offset; }),
      entries.end());
  if (!entries.empty() && entries.back().offset >= layout.directory) return no_zip();
  return layout;
}

}  // namespace lctl::agent
