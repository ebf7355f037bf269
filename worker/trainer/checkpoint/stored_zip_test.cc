#include "worker/trainer/checkpoint/stored_zip.h"

#include <caffe2/serialize/inline_container.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

namespace lctl::checkpoint {
namespace {

struct Record {
  std::string name;
  const void* data;
  std::size_t size;
};

Record record(std::string name, const std::string& bytes) {
  return {std::move(name), bytes.data(), bytes.size()};
}

// The archive with a mark in place of what is too much to keep. Zeros are what is too much here.
class Kept {
 public:
  void operator()(const void* data, std::size_t size) {
    position_ += size;
    if (size < (1 << 16)) {
      bytes_.append(static_cast<const char*>(data), size);
      large_ = 0;
      return;
    }
    if (large_ > 0) bytes_.resize(bytes_.size() - std::to_string(large_).size());
    large_ += size;
    bytes_ += std::to_string(large_);
  }
  std::string bytes() const { return bytes_; }
  std::size_t position() const { return position_; }

 private:
  std::string bytes_;
  std::size_t large_ = 0;
  std::size_t position_ = 0;
};

// What differs by design: the digits of the serialization id (LibTorch takes the names in an order
// that its hash table gives), so their checksum, twice.
std::string without_id(std::string archive) {
  const std::size_t header = archive.find(".data/serialization_id");
  const std::size_t descriptor = archive.find("PK\7\10", header);
  archive.replace(descriptor - 40, 40, 40, '#');
  archive.replace(descriptor + 4, 4, 4, '#');
  const std::size_t entry =
      archive.rfind(".data/serialization_id") - std::string("archive/").size();
  archive.replace(entry - 30, 4, 4, '#');
  return archive;
}

std::string ours(const std::vector<Record>& records) {
  Kept kept;
  StoredZip zip("archive", [&](const void* data, std::size_t size) { kept(data, size); });
  for (const Record& each : records) zip.add(each.name, each.data, each.size);
  zip.add("byteorder", "little", 6);
  zip.finish();
  return kept.bytes();
}

std::string libtorchs(const std::vector<Record>& records) {
  Kept kept;
  caffe2::serialize::PyTorchStreamWriter writer([&](const void* data, std::size_t size) {
    kept(data, size);
    return size;
  });
  for (const Record& each : records) writer.writeRecord(each.name, each.data, each.size);
  writer.writeRecord("byteorder", "little", 6);
  writer.writeEndOfFile();
  return kept.bytes();
}

TEST(StoredZipTest, WritesTheBytesOfLibTorchsWriter) {
  const std::string pickle = "a pickle of some length";
  const std::string one = "1";
  const std::string empty;
  const std::string aligned(64, 'a');
  const std::string longer(10'000, 'b');
  std::vector<Record> records = {record("data.pkl", pickle), record(".format_version", one),
                                 record("data/0", aligned), record("data/1", empty),
                                 record("data/2", longer)};
  // Paddings of every length.
  const std::vector<std::string> contents = [] {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < 70; ++i) all.emplace_back(i, static_cast<char>(i));
    return all;
  }();
  for (std::size_t i = 0; i < contents.size(); ++i) {
    records.push_back(record("more/" + std::to_string(i), contents[i]));
  }
  EXPECT_EQ(without_id(ours(records)), without_id(libtorchs(records)));
}

// Sizes and places that need 64 bits: pages that nobody wrote take no memory.
TEST(StoredZipTest, WritesTheBytesOfLibTorchsWriterBeyondFourGigabytes) {
  constexpr std::size_t kSize = (std::size_t{1} << 32) + (std::size_t{1} << 18);
  void* const zeros =
      mmap(nullptr, kSize, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(zeros, MAP_FAILED);
  const std::string small = "abc";
  const std::string empty;
  const std::vector<Record> records = {record("data.pkl", small),
                                       {"data/0", zeros, kSize},
                                       record("data/1", small),
                                       record("data/2", empty)};
  EXPECT_EQ(without_id(ours(records)), without_id(libtorchs(records)));
  munmap(zeros, kSize);
}

TEST(StoredZipTest, TheSerializationIdTellsContentsApart) {
  const auto id = [](const std::string& content) {
    const std::string archive = ours({record("data.pkl", content)});
    const std::size_t header = archive.find(".data/serialization_id");
    return archive.substr(archive.find("PK\7\10", header) - 40, 40);
  };
  EXPECT_EQ(id("a"), id("a"));
  EXPECT_NE(id("a"), id("b"));
  const std::string text = id("a");
  EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }))
      << text;
}

TEST(StoredZipTest, WhatTheSinkThrowsEndsTheWriting) {
  StoredZip zip("archive",
                [](const void*, std::size_t) { throw std::runtime_error("the disk is full"); });
  EXPECT_THROW(zip.add("data.pkl", "abc", 3), std::runtime_error);
}

}  // namespace
}  // namespace lctl::checkpoint
