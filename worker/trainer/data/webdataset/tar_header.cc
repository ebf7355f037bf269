#include "worker/trainer/data/webdataset/tar_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "worker/trainer/data/bad_sample.h"

namespace lctl::webdataset {
namespace {

using Block = std::span<const char, kTarBlock>;

constexpr std::uint64_t kLargestSize =
    static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

// Up to the first NUL.
std::string_view text_field(Block block, std::size_t at, std::size_t size) {
  const std::string_view field(block.data() + at, size);
  return field.substr(0, field.find('\0'));
}

// Octal digits between blanks, ended by a blank or NUL; a field of blanks is 0.
std::uint64_t octal_field(Block block, std::size_t at, std::size_t size, const char* what) {
  std::string_view text = text_field(block, at, size);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  text = text.substr(0, text.find(' '));
  if (text.empty()) return 0;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (error != std::errc() || end != text.data() + text.size() || value > kLargestSize)
    throw BadSample(fmt::format("its {} is no octal number", what));
  return value;
}

// The size is octal, or base-256 (GNU, for 8 GiB and more) when the first bit is set.
std::uint64_t size_field(Block block) {
  constexpr std::size_t kAt = 124;
  constexpr std::size_t kSize = 12;
  const auto first = static_cast<unsigned char>(block[kAt]);
  if ((first & 0x80U) == 0) return octal_field(block, kAt, kSize, "size");
  std::uint64_t value = first & 0x7FU;
  for (std::size_t i = 1; i < kSize; ++i) {
    // 0xFF, a negative number, ends here as well.
    if (value > kLargestSize >> 8U) throw BadSample("its size is no number of bytes");
    value = value << 8U | static_cast<unsigned char>(block[kAt + i]);
  }
  return value;
}

// The sum of all bytes, its own field taken as blanks. Old programs summed signed bytes.
void check_checksum(Block block) {
  constexpr std::size_t kAt = 148;
  constexpr std::size_t kSize = 8;
  const auto* bytes = reinterpret_cast<const unsigned char*>(block.data());
  unsigned sum = kSize * ' ';
  unsigned negative = 0;  // bytes that are, when they are signed
  for (std::size_t i = 0; i < kTarBlock; ++i) {
    sum += bytes[i];
    negative += bytes[i] >> 7U;
  }
  for (std::size_t i = kAt; i < kAt + kSize; ++i) {
    sum -= bytes[i];
    negative -= bytes[i] >> 7U;
  }
  const std::uint64_t stored = octal_field(block, kAt, kSize, "checksum");
  const std::uint64_t signed_sum = std::uint64_t{sum} - 256 * std::uint64_t{negative};
  if (stored != sum && stored != signed_sum)
    throw BadSample(fmt::format("its checksum is {}, its bytes add up to {}", stored, sum));
}

TarMemberKind kind_of(char type) {
  switch (type) {
    case '0':
    case '\0':
    case '7':  // contiguous: a regular file to everybody else
      return TarMemberKind::kFile;
    case '1':
      return TarMemberKind::kHardLink;
    case '2':
      return TarMemberKind::kSymbolicLink;
    case '3':
    case '4':
    case '6':
      return TarMemberKind::kDevice;
    case '5':
      return TarMemberKind::kFolder;
    case 'L':
      return TarMemberKind::kLongName;
    case 'K':
      return TarMemberKind::kLongLink;
    case 'x':
    case 'X':  // Solaris
      return TarMemberKind::kPax;
    case 'g':
      return TarMemberKind::kGlobalPax;
    case 'S':
      return TarMemberKind::kSparse;
    default:
      return TarMemberKind::kOtherData;
  }
}

std::uint64_t decimal(std::string_view text, const char* what) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > kLargestSize)
    throw BadSample(fmt::format("{} in its pax records is no number", what));
  return value;
}

void take_record(std::string_view key, std::string_view value, PaxRecords& records) {
  if (key == "path") {
    while (!value.empty() && value.back() == '/') value.remove_suffix(1);
    if (value.find('\0') != std::string_view::npos)
      throw BadSample("the path in its pax records has a NUL byte");
    records.path = std::string(value);
  } else if (key == "linkpath") {
    records.link = std::string(value);
  } else if (key == "size") {
    if (!value.empty()) records.size = decimal(value, "the size");
  } else if (key.starts_with("GNU.sparse.")) {
    records.sparse = true;
  }
}

}  // namespace

bool is_without_data(TarMemberKind kind) {
  return kind == TarMemberKind::kFolder || kind == TarMemberKind::kSymbolicLink ||
         kind == TarMemberKind::kHardLink || kind == TarMemberKind::kDevice;
}

bool is_zero_block(std::span<const char> block) {
  return std::all_of(block.begin(), block.end(), [](char byte) { return byte == '\0'; });
}

TarHeader parse_tar_header(Block block) {
  check_checksum(block);
  TarHeader header;
  const char type = block[156];
  header.kind = kind_of(type);
  header.size = size_field(block);
  // Only POSIX has a prefix there; old GNU keeps times in the same place.
  const bool posix = std::string_view(block.data() + 257, 6) == std::string_view("ustar\0", 6);
  const std::string_view prefix = posix ? text_field(block, 345, 155) : std::string_view();
  if (!prefix.empty()) header.name.append(prefix).push_back('/');
  header.name.append(text_field(block, 0, 100));
  header.link = text_field(block, 157, 100);
  // Unix V7 has no type for directories.
  if (type == '\0' && header.name.ends_with('/')) header.kind = TarMemberKind::kFolder;
  return header;
}

PaxRecords parse_pax_records(std::string_view text) {
  PaxRecords records;
  // The last block is filled up with NULs by some writers that count them in.
  while (!text.empty() && text.front() != '\0') {
    const std::size_t blank = text.find(' ');
    if (blank == std::string_view::npos || blank == 0)
      throw BadSample("a pax record has no length");
    const std::uint64_t length = decimal(text.substr(0, blank), "a length");
    if (length > text.size() || length < blank + 2 || text[length - 1] != '\n')
      throw BadSample("a pax record is longer or shorter than it says");
    const std::string_view record = text.substr(blank + 1, length - blank - 2);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos || equals == 0)
      throw BadSample("a pax record is no key=value");
    take_record(record.substr(0, equals), record.substr(equals + 1), records);
    text.remove_prefix(length);
  }
  return records;
}

}  // namespace lctl::webdataset
