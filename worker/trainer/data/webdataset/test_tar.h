// Tars for tests, block by block.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace lctl::webdataset {

// Thread rule: one strand only.
class TestTar {
 public:
  // A whole member, ustar.
  TestTar& file(std::string_view name, std::string_view data) {
    return header(name, data.size(), '0').data(data);
  }

  // A header alone.
  TestTar& header(std::string_view name, std::size_t size, char type) {
    char text[16];
    std::snprintf(text, sizeof text, "%011zo", size);
    return raw_header(name, std::string_view(text, 12), type, "");
  }

  // A link of type '1' (hard) or '2' (symbolic).
  TestTar& link(std::string_view name, std::string_view target, char type) {
    std::string block = TestTar().header(name, 0, type).open();
    block.replace(157, target.size(), target);
    text_ += with_checksum(std::move(block));
    return *this;
  }

  // With the bytes of its size field and its prefix; `magic` as in ustar or old GNU.
  TestTar& raw_header(std::string_view name, std::string_view size, char type,
                      std::string_view prefix,
                      std::string_view magic = {"ustar\0"
                                                "00",
                                                8}) {
    std::string block(512, '\0');
    block.replace(0, name.size(), name);
    block.replace(100, 8, "0000644", 8);
    block.replace(124, size.size(), size);
    block.replace(136, 12, "00000000000", 12);
    block[156] = type;
    block.replace(257, magic.size(), magic);
    block.replace(345, prefix.size(), prefix);
    text_ += with_checksum(std::move(block));
    return *this;
  }

  // Bytes, filled up to whole blocks.
  TestTar& data(std::string_view bytes) {
    text_ += bytes;
    text_.resize((text_.size() + 511) / 512 * 512, '\0');
    return *this;
  }

  TestTar& pax(char type, std::string_view records) {
    return header("pax", records.size(), type).data(records);
  }

  // So far, and with the mark of its end.
  const std::string& open() const { return text_; }
  std::string closed() const { return text_ + std::string(1024, '\0'); }

  // "<length> key=value\n"
  static std::string record(std::string_view key, std::string_view value) {
    std::string rest = " ";
    rest.append(key).append("=").append(value).append("\n");
    std::size_t length = rest.size() + 1;
    while (std::to_string(length).size() + rest.size() != length) ++length;
    return std::to_string(length) + rest;
  }

  static std::string with_checksum(std::string block, bool as_signed = false) {
    block.replace(148, 8, 8, ' ');
    long sum = 0;
    for (const char byte : block)
      sum += as_signed ? static_cast<signed char>(byte) : static_cast<unsigned char>(byte);
    char text[16];
    std::snprintf(text, sizeof text, "%06lo", static_cast<unsigned long>(sum));
    block.replace(148, 8, std::string(text, 6) + '\0' + ' ');
    return block;
  }

 private:
  std::string text_;
};

// A folder that goes away with its test.
class TestFolder {
 public:
  explicit TestFolder(const std::string& temp)
      : path_(std::filesystem::path(temp) / ("shards-" + std::to_string(getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  std::string path(const std::string& name) const { return (path_ / name).string(); }
  std::string write(const std::string& name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path(name);
  }

 private:
  std::filesystem::path path_;
};

}  // namespace lctl::webdataset
