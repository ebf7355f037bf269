// Real layouts of zip files, cut.
#include "worker/agent/chunk_cuts.h"

#include <numeric>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/agent/testing/memory_file.h"
#include "worker/agent/testing/zip_file.h"

namespace lctl::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

constexpr std::size_t kMiB = 1 << 20;
using Entries = std::vector<std::pair<std::string, std::string>>;

std::optional<ZipLayout> layout_of(const std::string& file) {
  auto layout = zip_layout(memory_file(file).get(), file.size(), "test.ckpt");
  if (!layout.ok()) return std::nullopt;
  return *std::move(layout);
}

std::vector<std::string> chunks_of(const std::string& file) {
  std::vector<std::string> chunks;
  std::size_t at = 0;
  for (const std::uint64_t size : chunk_sizes(file.size(), layout_of(file))) {
    chunks.push_back(file.substr(at, size));
    at += size;
  }
  EXPECT_EQ(at, file.size());
  return chunks;
}

std::string tensor(std::size_t bytes, int seed) {
  std::string content(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i)
    content[i] =
        static_cast<char>((i * 31 + i / 65'521 + static_cast<std::size_t>(seed) * 7) & 255);
  return content;
}

// As lctl-trainer writes one: a backbone, a head, the optimizer's states of the head.
std::string checkpoint(std::size_t pickle_bytes, int head) {
  return zip_file({{"archive/data.pkl", std::string(pickle_bytes, 'p')},
                   {"archive/.format_version", "1"},
                   {"archive/.storage_alignment", "64"},
                   {"archive/byteorder", "little"},
                   {"archive/data/0", tensor(6 * kMiB + 4, 1)},  // frozen
                   {"archive/data/1", tensor(400, 2)},           // frozen
                   {"archive/data/2", tensor(2 * kMiB, 3)},      // frozen
                   {"archive/data/3", tensor(64, head)},
                   {"archive/data/4", tensor(128, head + 1)},
                   {"archive/version", "3\n"},
                   {"archive/.data/serialization_id", std::to_string(head)}});
}

// Bytes of `second`'s chunks that `first` has not.
std::size_t new_bytes(const std::string& first, const std::string& second) {
  const std::vector<std::string> old = chunks_of(first);
  const std::set<std::string> known(old.begin(), old.end());
  std::size_t bytes = 0;
  for (const std::string& chunk : chunks_of(second))
    bytes += known.contains(chunk) ? 0 : chunk.size();
  return bytes;
}

TEST(ChunkCutsTest, FrozenTensorsAreTheSameChunksWhereverTheyLie) {
  const std::string first = checkpoint(3'000, 10);
  for (const std::size_t pickle : {3'000, 3'001, 3'037, 9'999}) {
    const std::string second = checkpoint(pickle, 20);
    EXPECT_THAT(new_bytes(first, second), Le(pickle + 3'000)) << pickle;
  }
}

TEST(ChunkCutsTest, EqualFilesShareEverything) {
  EXPECT_EQ(new_bytes(checkpoint(3'000, 10), checkpoint(3'000, 10)), 0);
}

TEST(ChunkCutsTest, SmallEntriesShareChunks) {
  Entries entries = {{"archive/data.pkl", "pickle"}};
  for (int i = 0; i < 1'000; ++i)
    entries.emplace_back("archive/data/" + std::to_string(i), tensor(4'096, i));
  const std::vector<std::string> chunks = chunks_of(zip_file(entries));
  // 4.1 MiB of tensors in chunks of about 1 MiB, the pickle, the directory.
  EXPECT_THAT(chunks, SizeIs(Le(7)));
}

TEST(ChunkCutsTest, FilesThatAreNoZipAreCutInEqualPieces) {
  EXPECT_THAT(chunk_sizes(9 * kMiB, std::nullopt), ElementsAre(4 * kMiB, 4 * kMiB, kMiB));
  EXPECT_THAT(chunk_sizes(0, std::nullopt), IsEmpty());
}

TEST(ZipLayoutTest, FindsEntriesInOrderOfTheirPlace) {
  const Entries entries = {{"b", "1"}, {"a", "22"}};
  for (const bool zip64 : {false, true}) {
    const std::string file = zip_file(entries, zip64);
    const auto layout = layout_of(file);
    ASSERT_TRUE(layout.has_value()) << zip64;
    ASSERT_THAT(layout->entries, SizeIs(2));
    EXPECT_EQ(layout->entries[0].name, "b");
    EXPECT_EQ(layout->entries[0].offset, 0);
    EXPECT_EQ(layout->entries[1].name, "a");
    EXPECT_EQ(file.substr(layout->entries[1].offset, 2), "PK");
    EXPECT_EQ(file.substr(layout->directory, 4), "PK\x01\x02");
  }
}

TEST(ZipLayoutTest, WhatIsNotWholeIsRefused) {
  const std::string file = zip_file({{"a", "1"}, {"b", "2"}});
  for (const std::string& bad : {file.substr(0, file.size() - 1), file + "x", file.substr(10),
                                 std::string("text"), std::string()}) {
    EXPECT_EQ(layout_of(bad), std::nullopt) << bad.size();
  }
  EXPECT_NE(layout_of(file), std::nullopt);
}

}  // namespace
}  // namespace lctl::agent
