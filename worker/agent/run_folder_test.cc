#include "worker/agent/run_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class RunFolderTest : public ::testing::Test {
 protected:
  RunFolderTest() : data_dir_(std::filesystem::path(testing::TempDir()) / "run_folder_test") {
    std::filesystem::remove_all(data_dir_);
    std::filesystem::create_directories(data_dir_);
    launch_.set_job_id(id_.job.str());
    launch_.set_attempt(id_.number);
    launch_.mutable_spec()->set_config_yaml("model: x\n");
    launch_.add_ranks()->set_rank(4);
    launch_.add_ranks()->set_rank(5);
  }
  void write(const std::filesystem::path& file, const std::string& text) {
    std::ofstream(file) << text;
  }
  static std::string read(const std::filesystem::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  const AttemptId id_{JobId("abcdefghij"), 2};
  const std::filesystem::path data_dir_;
  v1::Launch launch_;
};

TEST_F(RunFolderTest, WhatIsCreatedIsLoadedAgain) {
  const RunFolder folder(data_dir_, id_);
  ASSERT_TRUE(folder.create(launch_, "boot").ok());
  EXPECT_EQ(read(folder.config()), "model: x\n");
  EXPECT_TRUE(std::filesystem::is_directory(folder.work()));
  EXPECT_TRUE(std::filesystem::is_directory(folder.stage(4)));
  EXPECT_TRUE(std::filesystem::is_directory(folder.stage(5)));
  std::string boot;
  const auto loaded = folder.load(&boot);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->SerializeAsString(), launch_.SerializeAsString());
  EXPECT_EQ(boot, "boot");
  folder.remove();
  EXPECT_FALSE(std::filesystem::exists(folder.path()));
}

TEST_F(RunFolderTest, IncompleteOrDamagedFolderIsNotLoaded) {
  const RunFolder folder(data_dir_, id_);
  std::string boot;
  EXPECT_TRUE(absl::IsNotFound(folder.load(&boot).status()));
  ASSERT_TRUE(folder.create(launch_, "boot").ok());
  write(folder.path() / "launch.pb", "\xff\xff\xff");
  EXPECT_TRUE(absl::IsNotFound(folder.load(&boot).status()));
}

TEST_F(RunFolderTest, UnwritablePlaceIsNamed) {
  write(data_dir_ / "runs", "a file where the folder should be");
  const absl::Status status = RunFolder(data_dir_, id_).create(launch_, "boot");
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(message_of(status)), HasSubstr((data_dir_ / "runs").string()));
}

TEST_F(RunFolderTest, OnlyAttemptsAreListed) {
  EXPECT_THAT(RunFolder::list(data_dir_), IsEmpty());
  for (const char* name :
       {"abcdefghij.2", "abcdefghij.13", "noattempt", "x.0", "x.-1", "x.1y", ".3", "x."}) {
    std::filesystem::create_directories(data_dir_ / "runs" / name);
  }
  EXPECT_THAT(RunFolder::list(data_dir_),
              UnorderedElementsAre(id_, AttemptId{JobId("abcdefghij"), 13}));
}

TEST_F(RunFolderTest, OffsetsAreKeptAndATornFileMeansTheBeginning) {
  const RunFolder folder(data_dir_, id_);
  ASSERT_TRUE(folder.create(launch_, "boot").ok());
  EXPECT_EQ(folder.offsets(4).events, 0u);
  ASSERT_TRUE(folder.save_offsets(4, {.events = 1ULL << 40, .out = 7, .err = 9}).ok());
  EXPECT_EQ(folder.offsets(4).events, 1ULL << 40);
  EXPECT_EQ(folder.offsets(4).out, 7u);
  EXPECT_EQ(folder.offsets(4).err, 9u);
  EXPECT_EQ(folder.offsets(5).out, 0u);
  write(folder.rank(4) / "offsets", "events 12 std");
  EXPECT_EQ(folder.offsets(4).events, 0u);
}

TEST_F(RunFolderTest, ProcessAndExitFilesAreUnderstood) {
  const auto process = parse_process("12 345 67 890\n");
  ASSERT_TRUE(process.has_value());
  EXPECT_EQ(process->keeper, 12);
  EXPECT_EQ(process->keeper_start, 345u);
  EXPECT_EQ(process->rank, 67);
  EXPECT_EQ(process->rank_start, 890u);
  for (const char* bad : {"", "none\n", "12 345 67", "0 1 2 3", "-5 1 2 3", "x"}) {
    EXPECT_FALSE(parse_process(bad).has_value()) << bad;
  }
  EXPECT_EQ(parse_exit("exit 75\n")->exit_code(), 75);
  EXPECT_EQ(parse_exit("signal 9\n")->exit_code(), 137);
  EXPECT_TRUE(parse_exit("signal 9\n")->signaled);
  EXPECT_EQ(parse_exit("exit 75\n")->lease_ms, 0);
  EXPECT_EQ(parse_exit("exit 75 lease 120000\n")->lease_ms, 120'000);
  EXPECT_EQ(parse_exit("signal 9 lease 120000\n")->lease_ms, 120'000);
  EXPECT_EQ(parse_exit("signal 9 lease 120000\n")->exit_code(), 137);
  for (const char* bad :
       {"", "\n\n\n", "exit", "exit x", "9", "exit 256", "exit -1", "signal 0", "signal 65"}) {
    EXPECT_FALSE(parse_exit(bad).has_value()) << bad;
  }
}

TEST_F(RunFolderTest, RankThatWasGivenUpStaysSo) {
  const RunFolder folder(data_dir_, id_);
  ASSERT_TRUE(folder.create(launch_, "boot").ok());
  EXPECT_FALSE(folder.give_up(4).has_value());
  EXPECT_EQ(read(folder.rank(4) / "process"), "none\n");
  EXPECT_FALSE(folder.give_up(4).has_value());
}

TEST_F(RunFolderTest, RankThatWasFasterIsNotGivenUp) {
  const RunFolder folder(data_dir_, id_);
  ASSERT_TRUE(folder.create(launch_, "boot").ok());
  write(folder.rank(4) / "process", "12 345 67 890\n");
  ASSERT_TRUE(folder.give_up(4).has_value());
  EXPECT_EQ(folder.give_up(4)->rank, 67);
}

TEST_F(RunFolderTest, RendezvousPortIsKept) {
  const RunFolder folder(data_dir_, id_);
  ASSERT_TRUE(folder.create(launch_, "boot").ok());
  EXPECT_EQ(folder.rendezvous_port(), 0);
  ASSERT_TRUE(folder.save_rendezvous_port(29'500).ok());
  EXPECT_EQ(folder.rendezvous_port(), 29'500);
}

TEST_F(RunFolderTest, LogMatchesAreKept) {
  const RunFolder folder(data_dir_, id_);
  ASSERT_TRUE(folder.create(launch_, "boot").ok());
  EXPECT_TRUE(folder.log_matches(4).empty());
  const std::map<int, std::string> matches = {{0, "CUDA error"}, {11, "two  blanks"}};
  ASSERT_TRUE(folder.save_log_matches(4, matches).ok());
  EXPECT_EQ(folder.log_matches(4), matches);
  EXPECT_EQ(parse_log_matches("x y\n3\n-1 a\n2 good\n5 torn"),
            (std::map<int, std::string>{{2, "good"}}));
}

TEST_F(RunFolderTest, NotesAreAddedToStderr) {
  const RunFolder folder(data_dir_, id_);
  ASSERT_TRUE(folder.create(launch_, "boot").ok());
  write(folder.rank(4) / "stderr", "its own\n");
  ASSERT_TRUE(folder.add_note(4, "the daemon's").ok());
  EXPECT_EQ(read(folder.rank(4) / "stderr"), "its own\nlctl-worker: the daemon's\n");
}

TEST_F(RunFolderTest, StartTimeTellsProcessesApart) {
  const unsigned long long own = process_start_time(getpid());
  EXPECT_GT(own, 0u);
  EXPECT_EQ(process_start_time(getpid()), own);
  EXPECT_EQ(process_start_time(1 << 30), 0u);
  EXPECT_EQ(kernel_boot_id().size(), 36u);
}

}  // namespace
}  // namespace lctl::agent
