#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/spool/format.h"
#include "worker/spool/spool_reader.h"
#include "worker/spool/spool_writer.h"

namespace lctl::spool {
namespace {

using ::testing::HasSubstr;

v1::Event log_event(std::string text) {
  v1::Event event;
  event.set_time_us(1);
  event.mutable_log()->set_text(std::move(text));
  return event;
}

class SpoolTest : public ::testing::Test {
 protected:
  SpoolTest() : dir_(std::filesystem::path(testing::TempDir()) / "spool_test") {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    file_ = dir_ / "events.log";
  }

  void write(const std::vector<std::string>& texts) {
    auto writer = SpoolWriter::open({.file = file_});
    ASSERT_TRUE(writer.ok()) << writer.status();
    for (const std::string& text : texts) ASSERT_TRUE((*writer)->append(log_event(text)).ok());
  }

  // All texts from `offset` on, or the error.
  absl::StatusOr<std::vector<std::string>> read(std::uint64_t offset = 0, std::size_t step = 64) {
    auto reader = SpoolReader::open(file_, offset);
    std::vector<std::string> texts;
    while (true) {
      LCTL_ASSIGN_OR_RETURN(const auto records, reader->read(step));
      if (records.empty()) return texts;
      for (const Record& record : records) {
        v1::Event event;
        EXPECT_TRUE(event.ParseFromString(record.event));
        texts.push_back(event.log().text());
      }
    }
  }

  std::string bytes() {
    std::ifstream in(file_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void set_bytes(std::string_view bytes) {
    std::ofstream(file_, std::ios::binary | std::ios::trunc) << bytes;
  }

  std::filesystem::path dir_;
  std::filesystem::path file_;
};

using Texts = std::vector<std::string>;

TEST_F(SpoolTest, RecordsComeBackInOrder) {
  write({"a", "b", std::string(300'000, 'x'), "d"});
  EXPECT_EQ(*read(), (Texts{"a", "b", std::string(300'000, 'x'), "d"}));
}

TEST_F(SpoolTest, MissingFileReadsAsEmptyUntilItAppears) {
  auto reader = SpoolReader::open(file_, 0);
  EXPECT_TRUE(reader->read(100)->empty());
  write({"a"});
  EXPECT_EQ(reader->read(100)->size(), 1u);
  EXPECT_TRUE(reader->read(100)->empty());
}

TEST_F(SpoolTest, ReaderContinuesAtARecordBoundary) {
  write({"a", "b", "c"});
  auto reader = SpoolReader::open(file_, 0);
  const auto first = reader->read(1);
  ASSERT_EQ(first->size(), 1u);
  EXPECT_EQ(first->front().offset, 8u);
  EXPECT_EQ(*read(first->front().end_offset), (Texts{"b", "c"}));
}

TEST_F(SpoolTest, EveryTruncationLeavesAReadablePrefixAndCanBeContinued) {
  write({"first", "second", "third"});
  const std::string whole = bytes();
  std::size_t previous = 0;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    set_bytes(whole.substr(0, size));
    const auto texts = read();
    ASSERT_TRUE(texts.ok()) << size << ": " << texts.status();
    ASSERT_GE(texts->size(), previous);
    previous = texts->size();
    write({"next"});
    Texts expected(*texts);
    expected.push_back("next");
    ASSERT_EQ(*read(), expected) << size;
  }
  EXPECT_EQ(previous, 3u);
}

TEST_F(SpoolTest, EveryFlippedBitIsNoticedAndNeverMisread) {
  write({"first", "second", "third"});
  const std::string whole = bytes();
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    set_bytes(damaged);
    const auto texts = read();
    if (!texts.ok()) {
      EXPECT_EQ(texts.status().code(), absl::StatusCode::kDataLoss);
      continue;
    }
    // Accepted only as a torn end: what was read is a true prefix.
    ASSERT_LT(texts->size(), 3u) << bit;
    const Texts all{"first", "second", "third"};
    EXPECT_TRUE(std::equal(texts->begin(), texts->end(), all.begin())) << bit;
  }
}

TEST_F(SpoolTest, DamageBeforeGoodRecordsIsDataLossWithFileAndOffset) {
  write({"first", "second", "third"});
  std::string damaged = bytes();
  damaged[8 + 8 + 3] ^= 1;
  set_bytes(damaged);
  const auto texts = read();
  ASSERT_EQ(texts.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(message_of(texts.status())),
              HasSubstr("events.log is damaged at byte 8"));
}

TEST_F(SpoolTest, TailOfZerosIsATornEnd) {
  write({"first"});
  set_bytes(bytes() + std::string(4096, '\0'));
  EXPECT_EQ(*read(), Texts{"first"});
}

TEST_F(SpoolTest, ForeignFileIsRefused) {
  set_bytes("this is not a spool at all");
  EXPECT_EQ(read().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(SpoolWriter::open({.file = file_}).ok());
}

TEST_F(SpoolTest, OversizedEventIsRefusedAndTheNextOneWorks) {
  auto writer = SpoolWriter::open({.file = file_});
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ((*writer)->append(log_event(std::string(kMaxRecordBytes, 'x'))).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE((*writer)->append(log_event("small")).ok());
  ASSERT_TRUE((*writer)->flush().ok());
  EXPECT_EQ(*read(), Texts{"small"});
}

// Appends can be faster than the start of the writer's own thread, all of them or some.
TEST_F(SpoolTest, FlushRightAfterOpeningPutsTheRecordIntoTheFile) {
  for (int round = 0; round < 300; ++round) {
    std::filesystem::remove(file_);
    auto writer = SpoolWriter::open({.file = file_});
    ASSERT_TRUE(writer.ok());
    const Texts texts(static_cast<std::size_t>(round) + 1, "a");
    for (const std::string& text : texts) ASSERT_TRUE((*writer)->append(log_event(text)).ok());
    ASSERT_TRUE((*writer)->flush().ok());
    ASSERT_EQ(*read(), texts);
  }
}

TEST_F(SpoolTest, OffsetNamesTheNextRecord) {
  auto writer = SpoolWriter::open({.file = file_});
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->append(log_event("a")).ok());
  const std::uint64_t between = (*writer)->offset();
  ASSERT_TRUE((*writer)->append(log_event("b")).ok());
  ASSERT_TRUE((*writer)->flush().ok());
  EXPECT_EQ(*read(between), Texts{"b"});
}

TEST_F(SpoolTest, RefusedWriteIsAStickyErrorThatNamesTheFile) {
  // A file size limit stands in for a full disk: write() fails in the same place.
  signal(SIGXFSZ, SIG_IGN);
  auto writer = SpoolWriter::open({.file = file_});
  ASSERT_TRUE(writer.ok());
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit tiny = before;
  tiny.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tiny), 0);
  ASSERT_TRUE((*writer)->append(log_event(std::string(100, 'x'))).ok());
  const absl::Status status = (*writer)->flush();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(message_of(status)), HasSubstr("events.log"));
  EXPECT_EQ((*writer)->append(log_event("a")).status(), status);
  EXPECT_TRUE(read()->empty());
}

TEST_F(SpoolTest, ManyThreadsAppendWhileOneReads) {
  constexpr int kThreads = 4;
  constexpr int kEach = 500;
  auto writer =
      SpoolWriter::open({.file = file_, .flush_interval_us = 100, .max_buffered_bytes = 4096});
  ASSERT_TRUE(writer.ok());
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        ASSERT_TRUE((*writer)->append(log_event(std::to_string(t) + ":" + std::to_string(i))).ok());
      }
    });
  }
  auto reader = SpoolReader::open(file_, 0);
  std::vector<int> next(kThreads, 0);
  int seen = 0;
  while (seen < kThreads * kEach) {
    const auto records = reader->read(1 << 16);
    ASSERT_TRUE(records.ok()) << records.status();
    for (const Record& record : *records) {
      v1::Event event;
      ASSERT_TRUE(event.ParseFromString(record.event));
      const std::string& text = event.log().text();
      const std::size_t colon = text.find(':');
      EXPECT_EQ(std::stoi(text.substr(colon + 1)), next[std::stoul(text.substr(0, colon))]++);
      ++seen;
    }
    if (records->empty()) std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(SpoolTest, KilledWriterLeavesAReadablePrefix) {
  for (int round = 0; round < 20; ++round) {
    std::filesystem::remove(file_);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto writer = SpoolWriter::open({.file = file_, .flush_interval_us = 10});
      for (int i = 0;; ++i) {
        if (!(*writer)->append(log_event(std::to_string(i))).ok()) _exit(1);
      }
    }
    // Wait for some output, then kill at an arbitrary moment.
    while (!std::filesystem::exists(file_) ||
           std::filesystem::file_size(file_) < 1000u * static_cast<unsigned>(round + 1)) {
      std::this_thread::yield();
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const auto texts = read(0, 1 << 20);
    ASSERT_TRUE(texts.ok()) << texts.status();
    ASSERT_GT(texts->size(), 10u);
    for (std::size_t i = 0; i < texts->size(); ++i) ASSERT_EQ((*texts)[i], std::to_string(i));
  }
}

}  // namespace
}  // namespace lctl::spool
