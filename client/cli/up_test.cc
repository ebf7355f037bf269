// `lctl up` with a fake server and workers that are shell scripts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>

#include "client/cli/testing/program_fixture.h"

namespace lctl::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::MatchesRegex;

// An output that another thread may look at meanwhile. Thread rule: internally locked.
class WatchedOutput : public std::stringbuf {
 public:
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 protected:
  std::streamsize xsputn(const char* data, std::streamsize size) override {
    const std::lock_guard lock(mutex_);
    text_.append(data, static_cast<std::size_t>(size));
    return size;
  }
  int overflow(int c) override {
    const std::lock_guard lock(mutex_);
    text_ += static_cast<char>(c);
    return c;
  }

 private:
  std::mutex mutex_;
  std::string text_;
};

class UpTest : public ProgramTest {
 protected:
  UpTest() : folder_(fs::path(testing::TempDir()) / "up") {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "bin");
    fs::create_symlink(fs::absolute("client/testing/fake_server_program"),
                       folder_ / "bin/lctl-server");
    script("lctl-worker", "echo $$ > $0.pid; exec sleep 1000");
    script("lctl-keeper", "exit 1");
    script("lctl-trainer", "exit 1");
    variables_["LCTL_BIN_DIR"] = (folder_ / "bin").string();
    ::setenv("FAKE_NODES", "worker-1 worker-2", 1);
  }

  void script(const std::string& name, const std::string& text) {
    const fs::path path = folder_ / "bin" / name;
    std::ofstream(path) << "#!/bin/sh\n" << text << '\n';
    ::chmod(path.c_str(), 0755);
  }

  std::string data() const { return (folder_ / "data").string(); }

  // Runs `up`, meanwhile `user`, which ends with Ctrl-C.
  Outcome up(std::vector<std::string> arguments, const std::function<void()>& user) {
    arguments.insert(arguments.begin(), {"up", "--data-dir", data(), "--address", "127.0.0.1:0"});
    std::ostream out(&shown_);
    std::ostringstream err;
    Environment environment{.out = out,
                            .err = err,
                            .out_look = look_,
                            .err_look = look_,
                            .variable = [this](const char* name) -> std::optional<std::string> {
                              const auto found = variables_.find(name);
                              if (found == variables_.end()) return std::nullopt;
                              return found->second;
                            },
                            .clock = system_clock(),
                            .interrupts = interrupts_,
                            .user_at_host = "me@here"};
    std::thread someone(user);
    const int code = run_program(arguments, environment);
    someone.join();
    return {code, shown_.text(), err.str()};
  }

  // Polls what is shown; bounded, so that a test that has failed ends.
  void wait_for(const std::string& text) {
    for (int i = 0; i < 3000 && shown_.text().find(text) == std::string::npos; ++i)
      ::usleep(10'000);
    EXPECT_THAT(shown_.text(), HasSubstr(text));
  }

  fs::path folder_;
  WatchedOutput shown_;
};

TEST_F(UpTest, StartsWaitsTellsAndStops) {
  std::string address;
  const Outcome outcome = up({"--workers", "2"}, [&] {
    wait_for("Ctrl-C stops everything");
    std::ifstream(data() + "/address") >> address;
    interrupts_.press();
  });
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(address, MatchesRegex("127.0.0.1:[0-9]+"));
  EXPECT_THAT(outcome.out, HasSubstr("lctl is up at " + address + "\n"));
  EXPECT_THAT(outcome.out, HasSubstr("export LCTL_SERVER=" + address + "\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\n  worker-2"));
  EXPECT_THAT(outcome.out, HasSubstr("\nStopped.\n"));
  EXPECT_FALSE(fs::exists(data() + "/address"));
  EXPECT_TRUE(fs::exists(data() + "/worker-2"));
}

TEST_F(UpTest, DaemonThatCrashesIsStartedAgain) {
  const Outcome outcome = up({}, [&] {
    wait_for("Ctrl-C stops everything");
    pid_t worker = 0;
    while (worker == 0) std::ifstream((folder_ / "bin/lctl-worker.pid").string()) >> worker;
    ::kill(worker, SIGKILL);
    wait_for("worker-1 runs again");
    interrupts_.press();
  });
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("worker-1 ended (killed by signal 9 (Killed)); starting it "
                                     "again in 500ms"));
}

TEST_F(UpTest, SecondCtrlCKillsWhatDoesNotEnd) {
  script("lctl-worker", "trap '' TERM; while :; do sleep 1000; done");
  const Outcome outcome = up({}, [&] {
    wait_for("Ctrl-C stops everything");
    interrupts_.press();
    wait_for("Ctrl-C again kills");
    interrupts_.press();
  });
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("killed one rank process\n"));  // the sleep of the script
  EXPECT_THAT(outcome.out, HasSubstr("\nStopped.\n"));
}

TEST_F(UpTest, ServerThatDoesNotStartIsToldWithItsLastWords) {
  fs::remove(folder_ / "bin/lctl-server");
  script("lctl-server", "echo 'lctl-server: the store is from a newer version' >&2; exit 1");
  const Outcome outcome = up({}, [] {});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err,
            "lctl: the server did not start (exit code 1):\n"
            "    lctl-server: the store is from a newer version\n");
}

TEST_F(UpTest, WorkerThatDoesNotStartIsTold) {
  script("lctl-worker", "echo 'lctl-worker: no such folder' >&2; exit 1");
  ::setenv("FAKE_NODES", "", 1);
  const Outcome outcome = up({}, [] {});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("worker-1 did not start (exit code 1):\n    lctl-worker: no"));
}

TEST_F(UpTest, AddressAndFolderInUseSayWhatToDo) {
  const Outcome http =
      run({"up", "--data-dir", data(), "--address", "127.0.0.1:0", "--http", server_.address()});
  EXPECT_EQ(http.code, 1);
  EXPECT_THAT(http.err, HasSubstr("choose another address for HTTP with --http"));

  const Outcome busy = run({"up", "--data-dir", data(), "--address", server_.address()});
  EXPECT_EQ(busy.code, 1);
  EXPECT_THAT(busy.err, HasSubstr(server_.address() +
                                  " is in use: an lctl-server 0.1.0-fake listens there, with the "
                                  "data folder /tmp/fake."));
  EXPECT_THAT(busy.err, HasSubstr("127.0.0.1:0 takes any free port"));
  Outcome second;
  up({}, [&] {
    wait_for("Ctrl-C stops everything");
    second = run({"up", "--data-dir", data(), "--address", "127.0.0.1:0"});
    interrupts_.press();
  });
  EXPECT_EQ(second.code, 1);
  EXPECT_THAT(second.err, HasSubstr("another `lctl up` uses the data folder " + data() +
                                    " (its server is at 127.0.0.1:"));
}

TEST_F(UpTest, MissingProgramAndBadAddressAreToldBeforeAnythingStarts) {
  fs::remove(folder_ / "bin/lctl-trainer");
  const Outcome missing = run({"up", "--data-dir", data(), "--address", "127.0.0.1:0"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, HasSubstr("cannot find lctl-trainer"));
  EXPECT_EQ(run({"up", "--data-dir", data(), "--address", "nonsense"}).code, 2);
  EXPECT_EQ(run({"up", "--workers", "0"}).code, 2);
}

}  // namespace
}  // namespace lctl::cli
