// The blocks of a tar file that are not a member's bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lctl::webdataset {

inline constexpr std::size_t kTarBlock = 512;  // bytes; everything in a tar is a multiple of it

// What the reader does with a member, by its type flag.
enum class TarMemberKind {
  kFile,  // a regular file
  kFolder,
  kSymbolicLink,
  kHardLink,
  kDevice,     // or a pipe
  kOtherData,  // a type that nobody knows here: its bytes are passed over
  kLongName,   // GNU: the name of the next member
  kLongLink,   // GNU: the link target of the next member
  kPax,        // records for the next member
  kGlobalPax,  // records for all members that follow
  kSparse,     // GNU: a file with holes
};

// Whatever their size says, no bytes follow.
bool is_without_data(TarMemberKind kind);

struct TarHeader {
  std::string name;
  std::string link;        // of links: where to
  std::uint64_t size = 0;  // bytes that follow; at most 2^63 - 1
  TarMemberKind kind = TarMemberKind::kFile;
};

bool is_zero_block(std::span<const char> block);

// Understands the ustar, old GNU and Unix V7 layouts. Throws BadSample that says what is wrong
// with the block; file and place are the caller's to add. Pure.
TarHeader parse_tar_header(std::span<const char, kTarBlock> block);

// What extended headers say of a member. An empty path stands for the member's own.
struct PaxRecords {
  std::optional<std::string> path;
  std::optional<std::string> link;
  std::optional<std::uint64_t> size;
  bool sparse = false;  // a GNU sparse file of any version
};

// Reads "<length> <key>=<value>\n" records (POSIX.1-2008, pax). Throws BadSample as above. Pure.
PaxRecords parse_pax_records(std::string_view text);

}  // namespace lctl::webdataset
