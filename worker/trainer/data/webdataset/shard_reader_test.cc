#include "worker/trainer/data/webdataset/shard_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/webdataset/member_name.h"
#include "worker/trainer/data/webdataset/test_tar.h"

namespace lctl::webdataset {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kTestData = "worker/trainer/data/webdataset/testdata/";

std::string inflated(const std::string& path) {
  const gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) throw std::runtime_error(path + " is missing");
  std::string text(4 << 20, '\0');
  const int size = gzread(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return text;
}

// A line of nasty.expected: key, then extension, size and sum of the bytes of each file.
std::string described(const ReadOnlyFile& file, const ShardSample& sample) {
  std::string line = sample.key;
  for (const SampleField& field : sample.fields) {
    std::string bytes(field.size, '\0');
    file.read_at(field.offset, std::as_writable_bytes(std::span(bytes)));
    std::uint64_t sum = 0;
    for (const char byte : bytes) sum += static_cast<unsigned char>(byte);
    line += "\t" + field.extension + "\t" + std::to_string(field.size) + "\t" + std::to_string(sum);
  }
  std::string escaped;
  for (const char byte : line) {
    if (byte == '\n')
      escaped += "\\n";
    else
      escaped += byte;
  }
  return escaped;
}

class ShardReaderTest : public ::testing::Test {
 protected:
  std::vector<std::string> samples(const std::string& bytes) {
    const auto file = ReadOnlyFile::open(folder_.write("a.tar", bytes));
    ShardReader reader(file, "a.tar");
    std::vector<std::string> lines;
    while (const auto sample = reader.next()) {
      EXPECT_EQ(sample->fault, "");
      lines.push_back(described(*file, *sample));
    }
    return lines;
  }

  TestFolder folder_{testing::TempDir()};
};

// Recorded from webdataset 1.0.2 by testdata/record_nasty.py, on tars of Python 3.11's tarfile and
// of GNU tar 1.34.
TEST_F(ShardReaderTest, GroupsNastyTarsAsWebdatasetDoes) {
  std::ifstream expected(kTestData + "nasty.expected");
  std::map<std::string, std::vector<std::string>> tars;
  std::string tar;
  for (std::string line; std::getline(expected, line);) {
    if (line.starts_with("# ")) {
      tar = line.substr(2);
    } else {
      tars[tar].push_back(line);
    }
  }
  ASSERT_EQ(tars.size(), 7U);
  for (const auto& [name, lines] : tars) {
    EXPECT_GT(lines.size(), 20U);
    EXPECT_EQ(samples(inflated(kTestData + "nasty_" + name + ".tar.gz")), lines) << name;
  }
}

TEST_F(ShardReaderTest, AnExtensionThatComesTwiceIsAFaultOfItsSampleAlone) {
  const auto file = ReadOnlyFile::open(folder_.write("a.tar", TestTar()
                                                                  .file("a.jpg", "1")
                                                                  .file("a.JPG", "2")
                                                                  .file("a.cls", "3")
                                                                  .file("b.jpg", "4")
                                                                  .file("c.__key__", "5")
                                                                  .closed()));
  ShardReader reader(file, "a.tar");
  auto sample = reader.next();
  EXPECT_EQ(sample->key, "a");
  EXPECT_THAT(sample->fault, HasSubstr("'a.JPG' comes twice"));
  EXPECT_EQ(sample->fields.size(), 2U);
  sample = reader.next();
  EXPECT_EQ(sample->key, "b");
  EXPECT_EQ(sample->fault, "");
  sample = reader.next();
  EXPECT_EQ(sample->key, "c");
  EXPECT_NE(sample->fault, "");
  EXPECT_FALSE(reader.next().has_value());
}

TEST_F(ShardReaderTest, ASampleOfEndlessFilesIsAFault) {
  TestTar tar;
  for (int i = 0; i < 1100; ++i) tar.file("a." + std::to_string(i), "");
  const auto file = ReadOnlyFile::open(folder_.write("a.tar", tar.file("b.x", "").closed()));
  ShardReader reader(file, "a.tar");
  const auto sample = reader.next();
  EXPECT_THAT(sample->fault, HasSubstr("more than 1024 files"));
  EXPECT_EQ(sample->fields.size(), 1024U);
  EXPECT_EQ(reader.next()->key, "b");
}

TEST_F(ShardReaderTest, ATruncatedShardGivesWhatComesBeforeAndThenItsError) {
  const std::string tar =
      TestTar().file("a.jpg", "1").file("b.jpg", "2").file("b.cls", "3").closed();
  const auto file = ReadOnlyFile::open(folder_.write("a.tar", tar.substr(0, 2048 + 512)));
  ShardReader reader(file, "a.tar");
  EXPECT_EQ(reader.next()->cut, "");
  const auto last = reader.next();
  EXPECT_EQ(last->key, "b");
  EXPECT_THAT(last->cut, HasSubstr("truncated"));
  EXPECT_THROW(reader.next(), BadSample);
  EXPECT_FALSE(reader.next().has_value());
}

TEST(MemberNameTest, NamesInMessagesAreReadable) {
  EXPECT_EQ(shown("ä\n\x7f\xff"), "ä???");
  EXPECT_EQ(shown(std::string(500, 'x')), std::string(200, 'x') + "...");
}

}  // namespace
}  // namespace lctl::webdataset
