#include "worker/trainer/loggers/tensorboard_logger.h"

#include <ATen/ATen.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <regex>
#include <string>
#include <system_error>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/loggers/crc32c.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;
using tensorboard::Event;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A clock that the test moves.
class SetClock final : public Clock {
 public:
  WallTime wall_now() const override { return from_unix_micros(1'700'000'000'250'000) + passed; }
  MonotonicTime monotonic_now() const override { return MonotonicTime(passed); }
  Duration passed{0};
};

std::string slurp(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

template <typename Number>
Number number_at(const std::string& bytes, std::size_t at) {
  Number number = 0;
  std::memcpy(&number, bytes.substr(at, sizeof number).data(), sizeof number);
  return number;
}

// Reads the file as TensorBoard does: each record's length, both checksums and the event.
std::vector<Event> events_of(const fs::path& file) {
  const std::string bytes = slurp(file);
  std::vector<Event> events;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto size = number_at<std::uint64_t>(bytes, at);
    EXPECT_EQ(number_at<std::uint32_t>(bytes, at + 8), masked_crc32c(bytes.substr(at, 8)));
    const std::string payload = bytes.substr(at + 12, size);
    EXPECT_EQ(number_at<std::uint32_t>(bytes, at + 12 + size), masked_crc32c(payload));
    EXPECT_TRUE(events.emplace_back().ParseFromString(payload));
    at += size + 16;
  }
  return events;
}

// "step tag=value" of each scalar, "step tag" of everything else.
std::vector<std::string> lines_of(const fs::path& file) {
  std::vector<std::string> lines;
  for (const Event& event : events_of(file)) {
    for (const auto& value : event.summary().value()) {
      std::string line = std::to_string(event.step()) + " " + value.tag();
      if (value.has_simple_value()) line += "=" + std::to_string(value.simple_value());
      lines.push_back(line);
    }
  }
  return lines;
}

class TensorBoardLoggerTest : public ::testing::Test {
 protected:
  TensorBoardLoggerTest() : dir_(fs::path(testing::TempDir()) / "tensorboard_logger_test") {
    fs::remove_all(dir_);
  }
  TensorBoardLogger::Options options() const {
    TensorBoardLogger::Options options;
    options.save_dir = dir_.string();
    options.writer.clock = &clock_;
    return options;
  }
  static void log(TensorBoardLogger& logger, std::vector<LoggedMetric> metrics, std::int64_t step) {
    logger.log_metrics(metrics, step);
    logger.save();
  }
  // The event files of that folder, oldest first.
  std::vector<fs::path> event_files(const fs::path& folder) const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(dir_ / folder)) {
      if (entry.path().filename().string().rfind("events.out.tfevents.", 0) == 0)
        files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
      const auto counter = [](const fs::path& file) {
        const std::string name = file.filename().string();
        return std::stoi(name.substr(name.rfind('.') + 1));
      };
      return counter(a) < counter(b);
    });
    return files;
  }
  fs::path only_file(const fs::path& folder = "lightning_logs/version_0") const {
    const auto files = event_files(folder);
    EXPECT_EQ(files.size(), 1U);
    return files.at(0);
  }
  fs::path dir_;
  SetClock clock_;
};

TEST(Crc32cTest, KnownValues) {
  EXPECT_EQ(crc32c(""), 0U);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(masked_crc32c("123456789"), 0xC78AB0E5U);
}

TEST_F(TensorBoardLoggerTest, FileStartsWithItsVersionAndHasAName) {
  TensorBoardLogger logger(options());
  logger.start();
  const fs::path file = only_file();
  EXPECT_TRUE(std::regex_match(file.filename().string(),
                               std::regex(R"(events\.out\.tfevents\.1700000000\..+\.\d+\.\d+)")));
  const std::vector<Event> events = events_of(file);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_EQ(events[0].source_metadata().writer(), "tensorboard.summary.writer.event_file_writer");
  EXPECT_EQ(events[0].wall_time(), 1'700'000'000.25);
}

TEST_F(TensorBoardLoggerTest, MetricsAreOneEventEachInOrder) {
  TensorBoardLogger logger(options());
  logger.start();
  log(logger, {{"train/loss", 0.5}, {"acc", 0.25}, {"epoch", std::int64_t{0}}}, 1);
  clock_.passed = std::chrono::seconds(2);
  log(logger, {{"train/loss", std::numeric_limits<double>::infinity()}}, std::int64_t{1} << 40);
  EXPECT_THAT(lines_of(only_file()),
              ElementsAre("1 train/loss=0.500000", "1 acc=0.250000", "1 epoch=0.000000",
                          "1099511627776 train/loss=inf"));
  EXPECT_EQ(events_of(only_file()).back().wall_time(), 1'700'000'002.25);
}

TEST_F(TensorBoardLoggerTest, HyperparametersComeFirstWithAPlaceholderMetric) {
  checkpoint::Dict hparams;
  hparams.set("lr", 0.1);
  TensorBoardLogger logger(options());
  logger.start();
  logger.log_hyperparams(hparams);
  log(logger, {{"loss", 1.0}}, 3);
  EXPECT_THAT(lines_of(only_file()),
              ElementsAre("0 hp_metric=-1.000000", "0 _hparams_/experiment",
                          "0 _hparams_/session_start_info", "0 _hparams_/session_end_info",
                          "3 loss=1.000000"));
  EXPECT_EQ(slurp(dir_ / "lightning_logs/version_0/hparams.yaml"), "lr: 0.1\n");

  auto without = options();
  without.default_hp_metric = false;
  TensorBoardLogger quiet(without);
  quiet.start();
  quiet.log_hyperparams(hparams);
  quiet.save();
  EXPECT_THAT(lines_of(only_file("lightning_logs/version_1")), IsEmpty());
  EXPECT_EQ(slurp(dir_ / "lightning_logs/version_1/hparams.yaml"), "lr: 0.1\n");
}

TEST_F(TensorBoardLoggerTest, HparamsFileIsWrittenAtTheFirstSaveAndNeverReplaced) {
  TensorBoardLogger logger(options());
  logger.start();
  EXPECT_FALSE(fs::exists(dir_ / "lightning_logs/version_0/hparams.yaml"));
  logger.save();
  checkpoint::Dict hparams;
  hparams.set("lr", 0.1);
  logger.log_hyperparams(hparams);
  logger.save();
  EXPECT_EQ(slurp(dir_ / "lightning_logs/version_0/hparams.yaml"), "{}\n");
}

TEST_F(TensorBoardLoggerTest, FolderIsOfNameVersionAndSubDir) {
  setenv("LCTL_TEST_PART", "b", 1);
  auto given = options();
  given.name = "";
  given.version = std::string("v1");
  given.sub_dir = "a-$LCTL_TEST_PART-${LCTL_TEST_PART}-$LCTL_TEST_UNKNOWN";
  EXPECT_EQ(TensorBoardLogger(given).log_dir(), (dir_ / "v1/a-b-b-$LCTL_TEST_UNKNOWN").string());
  fs::create_directories(dir_ / "x" / "version_7");
  given = options();
  given.name = "x";
  EXPECT_EQ(TensorBoardLogger(given).log_dir(), (dir_ / "x/version_8").string());
}

TEST_F(TensorBoardLoggerTest, PrefixIsJoinedWithADash) {
  auto given = options();
  given.prefix = "p";
  TensorBoardLogger logger(given);
  log(logger, {{"a", 1.0}, {"b", 2.0}}, 0);
  EXPECT_THAT(lines_of(only_file()), ElementsAre("0 p-a=1.000000", "0 p-b=2.000000"));
}

TEST_F(TensorBoardLoggerTest, ARunAfterFinalizeOpensANewFile) {
  TensorBoardLogger logger(options());
  logger.start();
  log(logger, {{"a", 1.0}}, 0);
  logger.finalize("success");
  logger.save();
  EXPECT_EQ(event_files("lightning_logs/version_0").size(), 1U);
  log(logger, {{"b", 1.0}}, 0);
  const auto files = event_files("lightning_logs/version_0");
  ASSERT_EQ(files.size(), 2U);
  EXPECT_THAT(lines_of(files[0]), ElementsAre("0 a=1.000000"));
  EXPECT_THAT(lines_of(files[1]), ElementsAre("0 b=1.000000"));
}

TEST_F(TensorBoardLoggerTest, EventsWaitForAFlushAFullQueueOrTheTime) {
  auto given = options();
  given.writer.max_queue = 3;
  given.writer.flush_secs = std::chrono::seconds(10);
  TensorBoardLogger logger(given);
  SummaryWriter& writer = logger.experiment();
  writer.add_scalar("a", 1);
  writer.add_scalar("b", 1);
  EXPECT_EQ(lines_of(only_file()).size(), 0U);
  writer.add_scalar("c", 1);
  EXPECT_EQ(lines_of(only_file()).size(), 3U);
  writer.add_scalar("d", 1);
  clock_.passed = std::chrono::seconds(10);
  writer.add_scalar("e", 1);
  EXPECT_EQ(lines_of(only_file()).size(), 5U);
  writer.add_scalar("f", 1);
  writer.flush();
  EXPECT_EQ(lines_of(only_file()).size(), 6U);
}

TEST_F(TensorBoardLoggerTest, ScalarsOfOneChartAreRunsOfTheirOwn) {
  TensorBoardLogger logger(options());
  SummaryWriter& writer = logger.experiment();
  const std::vector<std::pair<std::string, double>> values = {{"train", 1.0}, {"val", 2.0}};
  writer.add_scalars("loss/all", values, 4);
  writer.add_scalars("loss/all", values, 5);
  logger.finalize("success");
  const fs::path run = "lightning_logs/version_0";
  EXPECT_THAT(lines_of(only_file(run)), IsEmpty());
  EXPECT_THAT(lines_of(only_file(run / "loss_all_train")),
              ElementsAre("4 loss/all=1.000000", "5 loss/all=1.000000"));
  EXPECT_THAT(lines_of(only_file(run / "loss_all_val")),
              ElementsAre("4 loss/all=2.000000", "5 loss/all=2.000000"));
}

TEST_F(TensorBoardLoggerTest, ExperimentTakesImagesHistogramsAndTexts) {
  TensorBoardLogger logger(options());
  SummaryWriter& writer = logger.experiment();
  writer.add_image("image", at::ones({3, 2, 2}), 1);
  writer.add_images("images", at::ones({2, 1, 2, 2}), 2);
  writer.add_histogram("histogram", at::arange(4), 3);
  writer.add_text("text", "hello", 4);
  writer.add_scalar("after", 0, 5);
  logger.save();
  EXPECT_THAT(lines_of(only_file()), ElementsAre("1 image", "2 images", "3 histogram",
                                                 "4 text/text_summary", "5 after=0.000000"));
}

TEST_F(TensorBoardLoggerTest, PurgeStepTellsReadersOnce) {
  auto given = options();
  given.writer.purge_step = 12;
  TensorBoardLogger logger(given);
  logger.start();
  logger.finalize("success");
  log(logger, {{"a", 1.0}}, 12);
  const auto files = event_files("lightning_logs/version_0");
  ASSERT_EQ(files.size(), 2U);
  const std::vector<Event> events = events_of(files[0]);
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[1].step(), 12);
  EXPECT_EQ(events[1].file_version(), "brain.Event:2");
  EXPECT_EQ(events[2].session_log().status(), tensorboard::SessionLog::START);
  EXPECT_EQ(events_of(files[1]).size(), 2U);
}

TEST_F(TensorBoardLoggerTest, AWriteThatFailsNamesTheFileAndLosesNothing) {
  TensorBoardLogger logger(options());
  logger.start();
  const fs::path file = only_file();
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = fs::file_size(file) + 10;  // in the middle of a record
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string said;
  try {
    log(logger, {{"loss", 1.0}}, 1);
  } catch (const std::system_error& error) {
    said = error.what();
  }
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_THAT(said, HasSubstr("TensorBoardLogger: writing " + file.string()));
  EXPECT_THAT(said, HasSubstr("File too large"));
  logger.save();
  EXPECT_THAT(lines_of(file), ElementsAre("1 loss=1.000000"));
}

TEST_F(TensorBoardLoggerTest, AFolderThatCannotBeMadeIsAnErrorWithItsName) {
  fs::create_directories(dir_);
  std::ofstream(dir_ / "lightning_logs") << "a file";
  TensorBoardLogger logger(options());
  try {
    logger.start();
    ADD_FAILURE() << "started";
  } catch (const std::system_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("lightning_logs/version_0"));
    EXPECT_THAT(error.what(), HasSubstr("save_dir must be a folder"));
  }
}

}  // namespace
}  // namespace lctl
