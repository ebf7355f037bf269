// APPNOTE.TXT 6.3.10 of PKWARE is the format; torch/csrc's inline_container.cc and its miniz are
// the layout.
#include "worker/trainer/checkpoint/stored_zip.h"

#include <c10/util/hash.h>
#include <fmt/format.h>
#include <libdeflate.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace lctl::checkpoint {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50;
constexpr std::uint32_t kDataDescriptor = 0x08074b50;
constexpr std::uint32_t kDirectoryHeader = 0x02014b50;
constexpr std::uint32_t kDirectoryEnd = 0x06054b50;
constexpr std::uint32_t kDirectoryEnd64 = 0x06064b50;
constexpr std::uint32_t kDirectoryEnd64Locator = 0x07064b50;

constexpr std::uint16_t kNamesAreUtf8 = 1U << 11U;
constexpr std::uint16_t kSizesFollowTheData = 1U << 3U;
constexpr std::uint16_t kZip64Field = 1;
constexpr std::uint16_t kPaddingField = 'F' | ('B' << 8);
constexpr std::uint64_t kMax16 = std::numeric_limits<std::uint16_t>::max();
constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();

constexpr std::size_t kLocalHeaderBytes = 30;
constexpr std::size_t kFieldHeaderBytes = 4;
constexpr std::size_t kAlignment = 64;
// Checked and handed on while it is in the processor's cache.
constexpr std::size_t kPiece = 256 << 10;

template <typename T>
void append(std::string& bytes, T value) {  // little-endian, as the machines are
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void append32(std::string& bytes, std::uint64_t value) {
  append(bytes, static_cast<std::uint32_t>(std::min(value, kMax32)));
}

bool is_large(std::uint64_t value) { return value >= kMax32; }

// "" when 32 bits are enough for all.
std::string zip64_field(std::uint64_t size, std::uint64_t stored_size, std::uint64_t offset) {
  std::string values;
  if (is_large(size)) {
    append(values, size);
    append(values, stored_size);
  }
  if (is_large(offset)) append(values, offset);
  if (values.empty()) return "";
  std::string field;
  append(field, kZip64Field);
  append(field, static_cast<std::uint16_t>(values.size()));
  return field + values;
}

std::uint16_t flags_of(std::uint64_t size) {
  return size == 0 ? kNamesAreUtf8 : kNamesAreUtf8 | kSizesFollowTheData;
}

// Version, flags, method, time and date, as all headers have them.
void append_common(std::string& header, std::uint64_t size) {
  append(header, std::uint16_t{0});
  append(header, flags_of(size));
  append(header, std::uint16_t{0});  // stored
  append(header, std::uint32_t{0});
}

// With what fills up to where the data begins. Checksum and sizes are zero: they follow the data.
std::string local_header(const std::string& path, std::uint64_t offset, std::uint64_t size) {
  std::string extra = zip64_field(size, 0, offset);
  const std::uint64_t unpadded =
      offset + kLocalHeaderBytes + path.size() + extra.size() + kFieldHeaderBytes;
  const std::size_t padding = (kAlignment - unpadded % kAlignment) % kAlignment;
  append(extra, kPaddingField);
  append(extra, static_cast<std::uint16_t>(padding));
  extra.append(padding, 'Z');

  std::string header;
  append(header, kLocalHeader);
  append_common(header, size);
  header.append(3 * sizeof(std::uint32_t), '\0');
  append(header, static_cast<std::uint16_t>(path.size()));
  append(header, static_cast<std::uint16_t>(extra.size()));
  return header + path + extra;
}

std::string data_descriptor(std::uint64_t offset, std::uint64_t size, std::uint32_t crc) {
  std::string descriptor;
  append(descriptor, kDataDescriptor);
  append(descriptor, crc);
  for (int i = 0; i < 2; ++i) {  // stored and unpacked
    if (is_large(size) || is_large(offset)) {
      append(descriptor, size);
    } else {
      append32(descriptor, size);
    }
  }
  return descriptor;
}

// Where the directory is, three times: with 64 bits, where that is, and for readers of 32 bits.
std::string directory_end(std::uint64_t entries, std::uint64_t offset, std::uint64_t size) {
  std::string end;
  append(end, kDirectoryEnd64);
  append(end, std::uint64_t{44});        // bytes that follow
  append(end, std::uint32_t{0x2d031e});  // made by 3.0 on Unix, 4.5 is needed
  append(end, std::uint64_t{0});         // one disk
  append(end, entries);
  append(end, entries);
  append(end, size);
  append(end, offset);

  append(end, kDirectoryEnd64Locator);
  append(end, std::uint32_t{0});
  append(end, offset + size);
  append(end, std::uint32_t{1});  // disks

  append(end, kDirectoryEnd);
  append(end, std::uint32_t{0});
  for (int i = 0; i < 2; ++i) append(end, static_cast<std::uint16_t>(std::min(entries, kMax16)));
  append32(end, size);
  append32(end, offset);
  append(end, std::uint16_t{0});  // no comment
  return end;
}

}  // namespace

StoredZip::StoredZip(std::string folder, Sink sink)
    : folder_(std::move(folder)), sink_(std::move(sink)) {}

void StoredZip::put(const std::string& bytes) {
  sink_(bytes.data(), bytes.size());
  position_ += bytes.size();
}

void StoredZip::add(std::string_view name, const void* data, std::size_t size) {
  Entry entry{fmt::format("{}/{}", folder_, name), position_, size};
  put(local_header(entry.path, entry.offset, size));
  for (std::size_t done = 0; done < size; done += kPiece) {
    const char* const piece = static_cast<const char*>(data) + done;
    const std::size_t bytes = std::min(kPiece, size - done);
    entry.crc = libdeflate_crc32(entry.crc, piece, bytes);
    sink_(piece, bytes);
  }
  position_ += size;
  if (size > 0) put(data_descriptor(entry.offset, size, entry.crc));
  entries_.push_back(std::move(entry));
}

// Tells archives apart: 40 digits of what is in this one.
void StoredZip::add_serialization_id() {
  std::size_t names = 0;
  std::size_t contents = 0;
  for (const Entry& entry : entries_) {
    names = c10::hash_combine(names, std::hash<std::string>()(entry.path));
    contents = c10::hash_combine(contents, entry.crc);
  }
  const std::string id = fmt::format("{:020}{:020}", names, contents);
  add(".data/serialization_id", id.data(), id.size());
}

std::string StoredZip::directory_header_of(const Entry& entry) {
  const std::string extra = zip64_field(entry.size, entry.size, entry.offset);
  std::string header;
  append(header, kDirectoryHeader);
  append(header, std::uint16_t{0});  // made by nobody
  append_common(header, entry.size);
  append(header, entry.crc);
  append32(header, entry.size);
  append32(header, entry.size);
  append(header, static_cast<std::uint16_t>(entry.path.size()));
  append(header, static_cast<std::uint16_t>(extra.size()));
  header.append(10, '\0');  // no comment, the first disk, no attributes
  append32(header, entry.offset);
  return header + entry.path + extra;
}

void StoredZip::finish() {
  add("version", "3\n", 2);  // of the format, not of LibTorch
  add_serialization_id();
  const std::uint64_t begin = position_;
  std::string directory;
  for (const Entry& entry : entries_) directory += directory_header_of(entry);
  put(directory);
  put(directory_end(entries_.size(), begin, directory.size()));
}

}  // namespace lctl::checkpoint
