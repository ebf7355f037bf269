// The parts of `lctl up` by themselves.
#include "client/cli/local_cluster/machine.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/status.h"
#include "client/cli/local_cluster/daemon.h"
#include "client/cli/local_cluster/programs.h"
#include "client/cli/local_cluster/restart_delay.h"

namespace lctl::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(MachineTest, CoresAreSharedOutWhole) {
  const std::vector<int> cores = {0, 1, 2, 3, 4};
  EXPECT_THAT(share_of_cores(cores, 0, 2), ElementsAre(0, 1, 2));
  EXPECT_THAT(share_of_cores(cores, 1, 2), ElementsAre(3, 4));
  EXPECT_THAT(share_of_cores(cores, 2, 5), ElementsAre(2));
  EXPECT_EQ(share_of_cores(cores, 3, 6), cores);
  EXPECT_FALSE(usable_cores().empty());
}

TEST(MachineTest, AddressesToListenOn) {
  HostPort address;
  ASSERT_TRUE(parse_host_port("127.0.0.1:0", address).ok());
  EXPECT_EQ(address.port, 0);
  ASSERT_TRUE(parse_host_port("[::1]:7070", address).ok());
  EXPECT_EQ(address.host, "::1");
  for (const char* bad : {"", "7070", ":7070", "host:", "host:x", "host:70000", "host:-1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(parse_host_port(bad, address))) << bad;
  }
}

TEST(MachineTest, PortInUseIsSeenWithItsOwner) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  ASSERT_EQ(::listen(fd, 1), 0);
  socklen_t size = sizeof(name);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
  const int port = ntohs(name.sin_port);
  EXPECT_TRUE(absl::IsAlreadyExists(check_port_free({"127.0.0.1", port})));
  EXPECT_THAT(who_listens(port), HasSubstr("(process " + std::to_string(::getpid()) + ")"));
  ::close(fd);
  EXPECT_TRUE(check_port_free({"127.0.0.1", port}).ok());
  EXPECT_EQ(who_listens(port), "");
}

TEST(MachineTest, OrphansOfADaemonAreKilledToo) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  Daemon daemon({.name = "parent",
                 .command = {"/bin/sh", "-c", "sleep 1000 & echo started; wait"},
                 .log_path = testing::TempDir() + "/parent.log"});
  ASSERT_TRUE(daemon.start().ok());
  while (daemon.output().find("started") == std::string::npos) ::usleep(1000);
  daemon.signal(SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(daemon.pid(), &status, 0), daemon.pid());
  EXPECT_EQ(kill_all_children(), 1);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST(DaemonTest, OutputOfTheLastStartIsRead) {
  const std::string log = testing::TempDir() + "/daemon.log";
  std::ofstream(log) << "of an earlier run\n";
  Daemon daemon({.name = "d",
                 .command = {"/bin/sh", "-c", "echo one; echo two >&2; echo three; exit 3"},
                 .log_path = log});
  ASSERT_TRUE(daemon.start().ok());
  EXPECT_TRUE(daemon.running());
  int status = 0;
  ASSERT_EQ(::waitpid(daemon.pid(), &status, 0), daemon.pid());
  daemon.ended(status);
  EXPECT_FALSE(daemon.running());
  EXPECT_EQ(daemon.last_end(), "exit code 3");
  EXPECT_EQ(daemon.output(), "one\ntwo\nthree\n");
  EXPECT_EQ(daemon.last_output(2), "two\nthree");
  EXPECT_EQ(daemon.last_output(9), "one\ntwo\nthree");
}

TEST(DaemonTest, ProgramThatIsNotThereIsAnError) {
  Daemon daemon(
      {.name = "d", .command = {"/no/such/program"}, .log_path = testing::TempDir() + "/none.log"});
  const absl::Status status = daemon.start();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(message_of(status)), HasSubstr("/no/such/program"));
  EXPECT_FALSE(daemon.running());
}

TEST(RestartDelayTest, DoublesWhileItCrashesAndBeginsAgainWhenItLived) {
  RestartDelay delay;
  EXPECT_EQ(delay.after(seconds(1)), milliseconds(500));
  EXPECT_EQ(delay.after(seconds(1)), seconds(1));
  EXPECT_EQ(delay.after(seconds(1)), seconds(2));
  for (int i = 0; i < 10; ++i) delay.after({});
  EXPECT_EQ(delay.after({}), seconds(30));
  EXPECT_EQ(delay.after(seconds(60)), milliseconds(500));
}

TEST(ProgramsTest, AreLookedForBesideInTheBuildTreeAndInThePath) {
  const VariableLookup path = [](const char* name) -> std::optional<std::string> {
    if (std::string(name) == "PATH") return "/usr/bin::/opt/bin";
    return std::nullopt;
  };
  EXPECT_THAT(program_candidates(kWorkerProgram, "/x/bin/client", path),
              ElementsAre("/x/bin/client/lctl-worker", "/x/bin/worker/agent/lctl-worker",
                          "/usr/bin/lctl-worker", "/opt/bin/lctl-worker"));
  const VariableLookup chosen = [](const char* name) -> std::optional<std::string> {
    return std::string(name) == "LCTL_BIN_DIR" ? "/chosen" : "/usr/bin";
  };
  EXPECT_THAT(program_candidates(kServerProgram, "/x/bin/client", chosen),
              ElementsAre("/chosen/lctl-server", "/chosen/server/lctl-server"));
  const auto missing = find_program(kServerProgram, chosen);
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_THAT(std::string(message_of(missing.status())),
              HasSubstr("set LCTL_BIN_DIR to the folder of the programs. Looked at:\n  /chosen/"));
}

}  // namespace
}  // namespace lctl::cli
