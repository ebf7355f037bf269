#include "worker/trainer/data/webdataset/tar_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/webdataset/member_name.h"

namespace lctl::webdataset {
namespace {

constexpr std::size_t kLongestName = 4096;           // Linux's PATH_MAX
constexpr std::size_t kLargestExtended = 1U << 20U;  // extended attributes can be some 64 KiB

// One read finds many headers of small members. Behind a big one only a page is read: the rest
// would be somebody's bytes.
constexpr std::size_t kDenseRead = 64U << 10U;
constexpr std::size_t kSparseRead = 4U << 10U;
constexpr std::uint64_t kSmallMember = 4U << 10U;

std::uint64_t padded(std::uint64_t size) { return (size + kTarBlock - 1) / kTarBlock * kTarBlock; }

}  // namespace

std::string_view compressed_with(std::string_view start) {
  using namespace std::string_view_literals;
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kMagic = {{
      {"\x1f\x8b"sv, "gzip"},
      {"BZh"sv, "bzip2"},
      {"\xfd"
       "7zXZ\0"sv,
       "xz"},
      {"\x28\xb5\x2f\xfd"sv, "zstd"},
  }};
  for (const auto& [magic, program] : kMagic) {
    if (start.starts_with(magic)) return program;
  }
  return "";
}

TarReader::TarReader(std::shared_ptr<const ReadOnlyFile> file, std::string name, TarMembers members)
    : file_(std::move(file)), name_(std::move(name)), members_(members) {
  refuse_compressed();
}

void TarReader::refuse_compressed() {
  constexpr std::uint64_t kLongestMagic = 6;
  const std::string_view program = compressed_with(
      bytes(0, static_cast<std::size_t>(std::min<std::uint64_t>(file_->size(), kLongestMagic))));
  if (program.empty()) return;
  throw BadSample(fmt::format(
      "{}: is compressed with {}; the samples of a compressed tar cannot be read in any order. "
      "Store plain .tar files (images are compressed already): {} -d FILE",
      name_, program, program));
}

std::optional<TarMember> TarReader::next() {
  if (done_) return std::nullopt;
  try {
    std::optional<TarMember> member = next_member();
    done_ = !member.has_value();
    return member;
  } catch (...) {
    done_ = true;
    throw;
  }
}

std::optional<TarMember> TarReader::next_member() {
  Announced announced;
  while (true) {
    const std::uint64_t header_at = position_;
    std::optional<TarHeader> header = read_header(announced.any);
    if (!header.has_value()) return std::nullopt;
    switch (header->kind) {
      case TarMemberKind::kLongName:
      case TarMemberKind::kLongLink:
      case TarMemberKind::kPax:
      case TarMemberKind::kGlobalPax:
        read_extended(*header, header_at, announced);
        continue;
      default:
        break;
    }
    const std::optional<std::string>& path =
        announced.path.has_value() ? announced.path : global_.path;
    if (path.has_value() && !path->empty()) header->name = *path;
    if (is_without_data(header->kind)) {
      if (members_ == TarMembers::kAll)
        return without_data(*std::move(header), header_at, announced);
      announced = {};
      continue;
    }
    if (announced.size.has_value() || global_.size.has_value())
      header->size = announced.size.has_value() ? *announced.size : *global_.size;
    const bool sparse =
        header->kind == TarMemberKind::kSparse || announced.sparse || global_.sparse;
    announced = {};
    if (sparse) {
      fail(header_at, fmt::format("'{}' is stored as a sparse file, which is not supported; write "
                                  "the tar without --sparse",
                                  shown(header->name)));
    }
    check_name(header->name, header_at);
    const std::uint64_t offset = position_;
    pass_over(*header, header_at);
    if (header->kind == TarMemberKind::kFile)
      return TarMember{std::move(header->name), offset, header->size, header->kind, ""};
  }
}

TarMember TarReader::without_data(TarHeader header, std::uint64_t header_at,
                                  const Announced& announced) const {
  const std::optional<std::string>& link =
      announced.link.has_value() ? announced.link : global_.link;
  if (link.has_value() && !link->empty()) header.link = *link;
  check_name(header.name, header_at);
  check_name(header.link, header_at);
  return {std::move(header.name), position_, 0, header.kind, std::move(header.link)};
}

void TarReader::check_name(std::string_view name, std::uint64_t header_at) const {
  if (name.size() > kLongestName)
    fail(header_at, fmt::format("a name has more than {} bytes", kLongestName));
}

// Nothing at the end mark.
std::optional<TarHeader> TarReader::read_header(bool announced) {
  const std::uint64_t at = position_;
  const std::uint64_t size = file_->size();
  if (at >= size) truncated("without the two blocks of zeros that end a tar");
  if (size - at < kTarBlock) truncated(fmt::format("inside the header at byte {}", at));
  const std::string_view block = bytes(at, kTarBlock);
  position_ += kTarBlock;
  if (is_zero_block(block)) {
    if (announced) fail(at, "the archive ends behind an extended header, before its member");
    check_end_mark(at);
    return std::nullopt;
  }
  try {
    return parse_tar_header(std::span<const char, kTarBlock>(block.data(), kTarBlock));
  } catch (const BadSample& error) {
    fail(at, fmt::format("no header of a tar member: {}", error.what()));
  }
}

// One block of zeros at the very end is taken for two, as GNU tar does: nothing is lost.
void TarReader::check_end_mark(std::uint64_t zeros_at) {
  if (file_->size() - position_ < kTarBlock) return;
  if (!is_zero_block(bytes(position_, kTarBlock)))
    fail(zeros_at, "a single block of zeros with more behind it: the archive is damaged there");
}

void TarReader::read_extended(const TarHeader& header, std::uint64_t header_at,
                              Announced& announced) {
  const bool is_name =
      header.kind == TarMemberKind::kLongName || header.kind == TarMemberKind::kLongLink;
  if (header.size > (is_name ? kLongestName + 1 : kLargestExtended)) {
    fail(header_at, fmt::format("{} of {} bytes, more than is supported",
                                is_name ? "a name" : "an extended header", header.size));
  }
  const std::uint64_t offset = position_;
  pass_over(header, header_at);
  const std::string_view text = bytes(offset, static_cast<std::size_t>(header.size));
  if (is_name) {
    // The first of several announcements is the outer one, and holds.
    announced.any = true;
    std::optional<std::string>& named =
        header.kind == TarMemberKind::kLongName ? announced.path : announced.link;
    if (!named.has_value()) named = text.substr(0, text.find('\0'));
    return;
  }
  PaxRecords records;
  try {
    records = parse_pax_records(text);
  } catch (const BadSample& error) {
    fail(header_at, error.what());
  }
  if (header.kind == TarMemberKind::kGlobalPax) {
    if (records.path.has_value()) global_.path = std::move(records.path);
    if (records.link.has_value()) global_.link = std::move(records.link);
    if (records.size.has_value()) global_.size = records.size;
    global_.sparse = global_.sparse || records.sparse;
    return;
  }
  announced.any = true;
  if (!announced.path.has_value()) announced.path = std::move(records.path);
  if (!announced.link.has_value()) announced.link = std::move(records.link);
  if (!announced.size.has_value()) announced.size = records.size;
  announced.sparse = announced.sparse || records.sparse;
}

// Moves behind a member's bytes, which must be there.
void TarReader::pass_over(const TarHeader& header, std::uint64_t header_at) {
  if (header.size > file_->size() - position_) {
    truncated(fmt::format("inside '{}', whose header at byte {} says {} bytes", shown(header.name),
                          header_at, header.size));
  }
  position_ += padded(header.size);
  dense_ = header.size <= kSmallMember;
}

// Part of the file, through the buffer; valid until the next call.
std::string_view TarReader::bytes(std::uint64_t at, std::size_t size) {
  if (at < buffer_at_ || at - buffer_at_ > buffer_.size() ||
      buffer_.size() - (at - buffer_at_) < size) {
    buffer_at_ = at;
    buffer_.resize(std::max(size, dense_ ? kDenseRead : kSparseRead));
    buffer_.resize(file_->read_at(at, std::as_writable_bytes(std::span(buffer_))));
    if (buffer_.size() < size) fail(at, "the file has become shorter while it was read");
  }
  return {buffer_.data() + (at - buffer_at_), size};
}

void TarReader::fail(std::uint64_t at, std::string_view why) const {
  throw BadSample(fmt::format("{}: at byte {}: {}", name_, at, why));
}

void TarReader::truncated(std::string_view why) const {
  throw BadSample(fmt::format("{}: truncated: the file ends at byte {}, {}; copy or write it again",
                              name_, file_->size(), why));
}

}  // namespace lctl::webdataset
