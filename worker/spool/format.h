// The bytes of a spool (docs/formats/spool.md): one header, then records.
//
// Pure functions over byte buffers; any thread may call them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lctl::spool {

inline constexpr std::string_view kFileHeader = "LCTLSPL1";  // 8 bytes: name and format version
inline constexpr std::size_t kRecordHeaderBytes = 8;         // u32 length, u32 CRC, little-endian
inline constexpr std::size_t kMaxRecordBytes = 2 << 20;      // of one payload

// Appends one record to `out`. `payload` has 1 to kMaxRecordBytes bytes.
void encode_record(std::string_view payload, std::string& out);

// What the bytes at some record boundary are.
struct Decoded {
  enum class Kind {
    kRecord,      // `payload` is whole and its CRC is right; `size` bytes make up the record
    kIncomplete,  // the bytes end before the record does: more may follow
    kCorrupt,     // cannot be the beginning of a record, whatever follows
  };
  Kind kind = Kind::kIncomplete;
  std::string_view payload;
  std::size_t size = 0;  // of the record with its header; set for kRecord and for a wrong CRC
  const char* why = "";  // for kCorrupt
};

Decoded decode_record(std::string_view bytes);

}  // namespace lctl::spool
