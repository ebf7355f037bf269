#include "worker/spool/format.h"

#include <zlib.h>

#include "base/check.h"

namespace lctl::spool {
namespace {

void put_u32(std::uint32_t value, std::string& out) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

std::uint32_t get_u32(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  }
  return value;
}

std::uint32_t crc_of(std::string_view bytes) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace

void encode_record(std::string_view payload, std::string& out) {
  LCTL_CHECK(!payload.empty() && payload.size() <= kMaxRecordBytes, "payload is bounded");
  put_u32(static_cast<std::uint32_t>(payload.size()), out);
  put_u32(crc_of(payload), out);
  out.append(payload);
}

Decoded decode_record(std::string_view bytes) {
  Decoded result;
  if (bytes.size() < kRecordHeaderBytes) return result;
  const std::size_t length = get_u32(bytes, 0);
  if (length == 0 || length > kMaxRecordBytes) {
    result.kind = Decoded::Kind::kCorrupt;
    result.why = "impossible record length";
    return result;
  }
  if (bytes.size() < kRecordHeaderBytes + length) return result;
  result.size = kRecordHeaderBytes + length;
  const std::string_view payload = bytes.substr(kRecordHeaderBytes, length);
  if (crc_of(payload) != get_u32(bytes, 4)) {
    result.kind = Decoded::Kind::kCorrupt;
    result.why = "wrong checksum";
    return result;
  }
  result.kind = Decoded::Kind::kRecord;
  result.payload = payload;
  return result;
}

}  // namespace lctl::spool
