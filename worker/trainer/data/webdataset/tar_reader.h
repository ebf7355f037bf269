// Finds the files in a tar without reading them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/trainer/data/webdataset/read_only_file.h"
#include "worker/trainer/data/webdataset/tar_header.h"

namespace lctl::webdataset {

struct TarMember {
  std::string name;
  std::uint64_t offset = 0;  // of its first byte in the file
  std::uint64_t size = 0;    // bytes, all of them inside the file
  TarMemberKind kind = TarMemberKind::kFile;
  std::string link;  // of links: where to
};

// Which members are told: regular files alone, or folders, links and devices too.
enum class TarMembers { kFiles, kAll };

// The program that compresses files which begin so ("gzip"); "" = none that is known.
std::string_view compressed_with(std::string_view start);

// Walks the headers of ustar, GNU and pax archives from front to back. Names have at most 4,096
// bytes, extended headers 1 MiB. Checksums are verified. A file that ends inside a member, or
// without the end mark, is truncated. Thread rule: one strand only.
class TarReader {
 public:
  // `name` is what messages call the file. Throws BadSample for a compressed file.
  TarReader(std::shared_ptr<const ReadOnlyFile> file, std::string name,
            TarMembers members = TarMembers::kFiles);

  // The next member; nothing behind the end mark, and after an error. Throws BadSample for a
  // damaged or truncated archive and for sparse files, with the place; std::runtime_error when the
  // file cannot be read.
  std::optional<TarMember> next();

 private:
  // What the extended headers before a member have said.
  struct Announced {
    std::optional<std::string> path;
    std::optional<std::string> link;
    std::optional<std::uint64_t> size;
    bool sparse = false;
    bool any = false;
  };

  std::optional<TarMember> next_member();
  TarMember without_data(TarHeader header, std::uint64_t header_at,
                         const Announced& announced) const;
  void check_name(std::string_view name, std::uint64_t header_at) const;
  std::optional<TarHeader> read_header(bool announced);
  void read_extended(const TarHeader& header, std::uint64_t header_at, Announced& announced);
  void pass_over(const TarHeader& header, std::uint64_t header_at);
  void check_end_mark(std::uint64_t zeros_at);
  std::string_view bytes(std::uint64_t at, std::size_t size);
  void refuse_compressed();
  [[noreturn]] void fail(std::uint64_t at, std::string_view why) const;
  [[noreturn]] void truncated(std::string_view why) const;

  std::shared_ptr<const ReadOnlyFile> file_;
  std::string name_;
  TarMembers members_;
  std::uint64_t position_ = 0;  // of the next header
  PaxRecords global_;
  std::vector<char> buffer_;
  std::uint64_t buffer_at_ = 0;  // its place in the file
  bool dense_ = true;            // members are small: one read finds several headers
  bool done_ = false;
};

}  // namespace lctl::webdataset
