#include "worker/trainer/loggers/wandb/record_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "worker/trainer/loggers/wandb/testing/record_reader.h"

namespace lctl::wandb {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::size_t kBlock = 32768;
constexpr std::size_t kHeader = 7;

class RecordFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }

  // What a file of these records holds.
  std::string written(const std::vector<std::string>& records) {
    const fs::path path = folder_ / ("f" + std::to_string(files_++));
    RecordFile file(path);
    for (const std::string& record : records) file.append(record);
    file.close();
    return bytes_of(path);
  }

  fs::path folder_;
  int files_ = 0;
};

TEST_F(RecordFileTest, OneSmallRecordIsOneFragment) {
  // CRC-32 of "\x01abc" as Python's zlib.crc32 gives it.
  EXPECT_EQ(written({"abc"}), std::string(":W&B\xe1\xbe\x00"
                                          "\xa9\x20\x9d\x53\x03\x00\x01"
                                          "abc",
                                          17));
}

TEST_F(RecordFileTest, RecordsOfAllSizesAroundABlockComeBack) {
  const auto record = [](std::size_t size) {
    std::string text(size, 'x');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + size);
    return text;
  };
  for (std::size_t less = 0; less < 40; ++less) {
    const std::vector<std::string> records = {record(kBlock - less), record(3), record(0),
                                              record(3 * kBlock - less), record(kBlock)};
    const std::string bytes = written(records);
    EXPECT_EQ(payloads_of(bytes), records) << less;
  }
}

TEST_F(RecordFileTest, AnEndOfABlockTooSmallForAHeaderIsZeros) {
  const std::string first(kBlock - kHeader - kHeader - 3, 'x');  // 3 bytes remain
  const std::string bytes = written({first, "abc"});
  EXPECT_EQ(bytes.substr(kBlock - 3, 3), std::string(3, '\0'));
  EXPECT_EQ(bytes.substr(kBlock + kHeader), "abc");
}

TEST_F(RecordFileTest, APrefixOfAFileHoldsAllWholeRecords) {
  const std::vector<std::string> records = {"first", std::string(kBlock, 'y'), "third"};
  const std::string bytes = written(records);
  std::size_t seen = 0;
  for (std::size_t size = kHeader; size <= bytes.size(); ++size) {
    const std::vector<std::string> found = payloads_of(std::string_view(bytes).substr(0, size));
    ASSERT_GE(found.size(), seen);
    ASSERT_LE(found.size(), records.size());
    seen = found.size();
    ASSERT_TRUE(std::equal(found.begin(), found.end(), records.begin()));
  }
  EXPECT_EQ(seen, records.size());
}

TEST_F(RecordFileTest, RecordsAreInTheFileAfterAFlush) {
  const fs::path path = folder_ / "run.wandb";
  RecordFile file(path);
  file.append("one");
  EXPECT_EQ(bytes_of(path).size(), kHeader);
  file.flush();
  EXPECT_THAT(payloads_of(bytes_of(path)), ElementsAre("one"));
}

TEST_F(RecordFileTest, AFileThatIsThereIsNotReplaced) {
  const fs::path path = folder_ / "run.wandb";
  {
    RecordFile file(path);
  }
  try {
    RecordFile again(path);
    FAIL() << "it was replaced";
  } catch (const std::system_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("WandbLogger: creating " + path.string()));
  }
}

}  // namespace
}  // namespace lctl::wandb
