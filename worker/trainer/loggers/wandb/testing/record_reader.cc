#include "worker/trainer/loggers/wandb/testing/record_reader.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <utility>

namespace lctl::wandb {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlockBytes = 32768;
constexpr std::size_t kHeaderBytes = 7;

std::uint32_t number_at(std::string_view bytes, std::size_t at, int size) {
  std::uint32_t number = 0;
  for (int i = size - 1; i >= 0; --i)
    number = number << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
  return number;
}

}  // namespace

std::vector<std::string> payloads_of(std::string_view bytes) {
  EXPECT_EQ(bytes.substr(0, kHeaderBytes), std::string_view(":W&B\xe1\xbe\x00", 7));
  std::vector<std::string> payloads;
  std::string payload;
  bool inside = false;  // of a record of several fragments
  for (std::size_t at = kHeaderBytes; at < bytes.size();) {
    const std::size_t left = kBlockBytes - at % kBlockBytes;
    if (left < kHeaderBytes) {
      at += left;
      continue;
    }
    if (bytes.size() - at < kHeaderBytes) break;
    const std::size_t size = number_at(bytes, at + 4, 2);
    if (bytes.size() - at < kHeaderBytes + size) break;
    EXPECT_LE(kHeaderBytes + size, left) << "a fragment crosses its block";
    const std::string_view checked = bytes.substr(at + 6, size + 1);
    EXPECT_EQ(number_at(bytes, at, 4), crc32(0, reinterpret_cast<const Bytef*>(checked.data()),
                                             static_cast<uInt>(checked.size())));
    const char type = checked[0];
    EXPECT_EQ(type == 3 || type == 4, inside) << "a fragment without its beginning or end";
    payload += checked.substr(1);
    inside = type == 2 || type == 3;
    if (!inside) payloads.push_back(std::exchange(payload, {}));
    at += kHeaderBytes + size;
  }
  return payloads;
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<records::Record> records_of(const fs::path& file) {
  std::vector<records::Record> records;
  for (const std::string& payload : payloads_of(bytes_of(file)))
    EXPECT_TRUE(records.emplace_back().ParseFromString(payload));
  return records;
}

fs::path only_run_in(const fs::path& root) {
  std::vector<fs::path> found;
  for (const auto& folder : fs::directory_iterator(root / "wandb")) {
    if (folder.is_symlink()) continue;
    for (const auto& file : fs::directory_iterator(folder)) {
      if (file.path().extension() == ".wandb") found.push_back(file.path());
    }
  }
  EXPECT_EQ(found.size(), 1U);
  return found.empty() ? fs::path() : found.front();
}

}  // namespace lctl::wandb
