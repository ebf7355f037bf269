#include "worker/pulse/pulse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "worker/pulse/pulse_reader.h"

namespace lctl::pulse {
namespace {

using ::testing::HasSubstr;

class PulseTest : public ::testing::Test {
 protected:
  PulseTest() : folder_(std::filesystem::path(testing::TempDir()) / "pulse_test") {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  std::string link() const { return (folder_ / "pulse").string(); }
  absl::Status opening(pid_t pid) const { return PulseReader::open(link(), pid).status(); }

  // Does `tell` in a process of its own, which then waits: its pid.
  pid_t rank_that(const std::function<void()>& tell) {
    int told[2];
    EXPECT_EQ(pipe(told), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      close(told[0]);
      const bool kept = keep(link()).ok();
      tell();
      close(told[1]);
      while (kept) pause();
      _exit(1);
    }
    close(told[1]);
    char byte = 0;
    EXPECT_EQ(read(told[0], &byte, 1), 0);
    close(told[0]);
    return pid;
  }
  static void end(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }

  const std::filesystem::path folder_;
};

TEST_F(PulseTest, OtherProcessReadsWhatARankTells) {
  const pid_t rank = rank_that([] {
    batch_begins(Phase::kTraining);
    collective_begins(Collective::kAllReduce);
    collective_begins(Collective::kAllReduce);
    batch_ends(41);
    batch_begins(Phase::kTraining);
    collective_begins(Collective::kBroadcast);
    takes_dumps();
  });
  auto reader = PulseReader::open(link(), rank);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto page = reader->read();
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->pid, static_cast<std::uint32_t>(rank));
  EXPECT_EQ(page->phase, static_cast<std::uint32_t>(Phase::kTraining));
  EXPECT_EQ(page->in_batch, 1u);
  EXPECT_EQ(page->beats, 1u);
  EXPECT_EQ(page->step, 41);
  EXPECT_EQ(page->begun, 3u);
  EXPECT_EQ(page->passed, 2u);
  EXPECT_EQ(page->takes_dumps, 1u);
  EXPECT_EQ(page->recent[2], static_cast<std::uint8_t>(Collective::kAllReduce));
  EXPECT_EQ(page->recent[3], static_cast<std::uint8_t>(Collective::kBroadcast));
  end(rank);
  EXPECT_TRUE(reader->read().ok()) << "what is open outlives the process";
  EXPECT_FALSE(opening(rank).ok());
}

TEST_F(PulseTest, AFirstProcessKeepsItsPlace) {
  const pid_t first = rank_that([] {});
  EXPECT_TRUE(absl::IsAlreadyExists(keep(link())));
  batch_ends(7);  // private, and fine
  EXPECT_EQ(PulseReader::open(link(), first)->read()->step, 0);
  end(first);
}

TEST_F(PulseTest, OnlyMemoryOfThatProcessIsOpened) {
  EXPECT_TRUE(absl::IsNotFound(opening(getpid())));
  const auto refused = [&](const std::string& target) {
    std::filesystem::remove(link());
    EXPECT_EQ(symlink(target.c_str(), link().c_str()), 0);
    const absl::Status status = opening(getpid());
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << target << ": " << status;
  };
  const std::string own = "/proc/" + std::to_string(getpid()) + "/fd/";
  refused("/etc/passwd");
  refused("/proc/1/fd/3");
  refused(own + "../environ");
  refused(own);
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  refused(own + std::to_string(pipes[0]));
  close(pipes[0]);
  close(pipes[1]);
  const int empty = memfd_create("empty", 0);
  refused(own + std::to_string(empty));
  ASSERT_EQ(ftruncate(empty, 4096), 0);
  refused(own + std::to_string(empty));  // zeros are no pulse
  close(empty);
  std::filesystem::remove(link());
  std::ofstream(link()) << "text";
  EXPECT_TRUE(absl::IsFailedPrecondition(opening(getpid())));
}

TEST_F(PulseTest, MemoryThatIsCutShortIsAnErrorAndNothingElse) {
  const pid_t rank = rank_that([] {});
  auto reader = PulseReader::open(link(), rank);
  ASSERT_TRUE(reader.ok());
  ASSERT_EQ(truncate(std::filesystem::read_symlink(link()).c_str(), 0), 0);
  EXPECT_THAT(std::string(reader->read().status().message()), HasSubstr("cut short"));
  end(rank);
}

TEST_F(PulseTest, NewestCollectiveThatIsNotBehindTheRankIsNamed) {
  collectives_passed();
  EXPECT_EQ(open_collective(), "");
  const std::uint64_t before = detail::page->begun;
  collective_begins(Collective::kAllReduce);
  collective_begins(Collective::kBarrier);
  EXPECT_EQ(open_collective(), "barrier #" + std::to_string(before + 2));
  collectives_passed();
  EXPECT_EQ(open_collective(), "");
}

TEST_F(PulseTest, PhaseComesBackAfterAScope) {
  enter(Phase::kTraining);
  {
    const Within saving(Phase::kSaving);
    EXPECT_EQ(phase(), Phase::kSaving);
  }
  EXPECT_EQ(phase(), Phase::kTraining);
}

}  // namespace
}  // namespace lctl::pulse
