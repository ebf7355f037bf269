// The cache's notes, as small JSON files.
//
// They are hints: one that is damaged or of another version reads as nothing, and costs a download
// or a hash. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lctl {

inline constexpr std::size_t kMaxRecordSize = std::size_t{64} << 10;

// By which a server tells versions of a file apart. "" = it did not say.
struct Validators {
  std::string etag;  // with its quotes
  std::string last_modified;

  bool empty() const { return etag.empty() && last_modified.empty(); }

  // The one that proves equality to the byte, for If-Range: a strong ETag, else the date.
  std::string strong() const;
};

// A header's value when it can be a validator: printable ASCII, not long. Else "".
std::string as_validator(std::string_view value);

// What a URL gave when it was last asked.
struct UrlRecord {
  std::string url;  // as shown
  std::string sha256;
  std::uint64_t size = 0;
  Validators validators;
  std::int64_t checked_micros = 0;  // wall time when the server was last asked
};

// What an unfinished download is a part of.
struct PartialRecord {
  Validators validators;
  std::optional<std::uint64_t> total;  // bytes of the whole, if the server said
  std::string boot_id;  // of the machine's run: after a crash the bytes may never have been written
};

// A file whose content was hashed; any change of it changes one of the first three.
struct FileRecord {
  std::uint64_t size = 0;
  std::int64_t modified_nanos = 0;
  std::uint64_t inode = 0;
  std::string sha256;

  friend bool operator==(const FileRecord&, const FileRecord&) = default;
};

std::string to_json(const UrlRecord& record);
std::string to_json(const PartialRecord& record);
std::string to_json(const FileRecord& record);

std::optional<UrlRecord> parse_url_record(std::string_view json);
std::optional<PartialRecord> parse_partial_record(std::string_view json);
std::optional<FileRecord> parse_file_record(std::string_view json);

}  // namespace lctl
