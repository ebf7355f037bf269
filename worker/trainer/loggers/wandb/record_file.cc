#include "worker/trainer/loggers/wandb/record_file.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace lctl::wandb {
namespace {

// ":W&B", the number 0xBEE1, version 0.
constexpr std::string_view kFileHeader{":W&B\xe1\xbe\x00", 7};

constexpr std::size_t kBlockBytes = 32768;
constexpr std::size_t kRecordHeaderBytes = 7;  // CRC-32, length of the data, type

enum Type : char { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

Type type_of(bool first, bool last) {
  if (first) return last ? kFull : kFirst;
  return last ? kLast : kMiddle;
}

// Little-endian.
void append_number(std::uint32_t number, int bytes, std::string& out) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(number >> (8 * i)));
}

std::uint32_t crc_of(Type type, std::string_view data) {
  const char first = type;
  const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(&first), 1);
  return static_cast<std::uint32_t>(
      crc32(crc, reinterpret_cast<const Bytef*>(data.data()), static_cast<uInt>(data.size())));
}

}  // namespace

RecordFile::RecordFile(std::filesystem::path path)
    : file_(std::move(path), std::string(kWho), /*must_be_new=*/true) {
  file_.waiting() += kFileHeader;
  block_used_ = kFileHeader.size();
  file_.flush();
}

void RecordFile::append(std::string_view record) {
  std::string& out = file_.waiting();
  bool first = true;
  do {
    std::size_t left = kBlockBytes - block_used_;
    if (left < kRecordHeaderBytes) {
      out.append(left, '\0');
      block_used_ = 0;
      left = kBlockBytes;
    }
    const std::size_t size = std::min(record.size(), left - kRecordHeaderBytes);
    const std::string_view data = record.substr(0, size);
    record.remove_prefix(size);
    const Type type = type_of(std::exchange(first, false), record.empty());
    append_number(crc_of(type, data), 4, out);
    append_number(static_cast<std::uint32_t>(size), 2, out);
    out.push_back(type);
    out += data;
    block_used_ = (block_used_ + kRecordHeaderBytes + size) % kBlockBytes;
  } while (!record.empty());
}

}  // namespace lctl::wandb
