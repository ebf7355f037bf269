// lctl-keeper: the parent of one rank.
//
//   lctl-keeper RANK_FOLDER WORK_FOLDER READY_FD PROGRAM [ARGUMENT ...]
//
// Only a parent learns how a process ended, and the node daemon must be replaceable while ranks run:
// so each rank has this small parent, which outlives the daemon and leaves the exit status in a file.
// If the keeper itself is killed the kernel kills the rank: nothing runs unwatched.
//
//   1. It opens RANK_FOLDER/stdout and /stderr for appending and starts PROGRAM in a process group of
//      its own, with WORK_FOLDER as working folder and the keeper's environment.
//   2. Before PROGRAM runs, RANK_FOLDER/process says who it is: "<keeper pid> <keeper start> <rank pid>
//      <rank start>" (start: clock ticks since boot, as in /proc/<pid>/stat). The same line goes to
//      READY_FD, which is then closed; an end of file without a line means that the start failed.
//   3. SIGTERM is passed on to the rank's group; SIGUSR1 kills it.
//   4. When the rank ends, its group is killed and RANK_FOLDER/exit says how: "exit <code>" or
//      "signal <number>". Both files appear by rename, so they are whole or absent.
//
// Plain POSIX on purpose: it starts in a millisecond and takes half a megabyte.
// Thread rule: single-threaded.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

constexpr int kUsageError = 2;
constexpr int kStartFailed = 127;

[[noreturn]] void die(const std::string& what) {
  const std::string text = "lctl-keeper: " + what + ": " + std::strerror(errno) + "\n";
  [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, text.data(), text.size());
  _exit(kStartFailed);
}

// Field 22 of /proc/<pid>/stat; 0 when the process is gone. The name in field 2 may hold anything, so
// fields are counted behind its closing parenthesis.
unsigned long long start_time(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char buffer[1024];
  const ssize_t size = read(fd, buffer, sizeof(buffer) - 1);
  close(fd);
  if (size <= 0) return 0;
  buffer[size] = '\0';
  const char* at = std::strrchr(buffer, ')');
  for (int field = 2; at != nullptr && field < 22; ++field) at = std::strchr(at + 1, ' ');
  return at == nullptr ? 0 : std::strtoull(at, nullptr, 10);
}

void write_whole(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".tmp";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) die("creating " + temporary);
  if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    die("writing " + temporary);
  }
  close(fd);
  if (rename(temporary.c_str(), path.c_str()) != 0) die("renaming " + temporary);
}

void redirect(const std::string& path, int target) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) die("opening " + path);
  dup2(fd, target);
  close(fd);
}

// In the child: waits until the parent has recorded it, then becomes the program.
[[noreturn]] void become(char** program, const char* work_folder, int go, int ready_fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  char byte = 0;
  if (read(go, &byte, 1) != 1) _exit(kStartFailed);  // the keeper died before it said go
  setpgid(0, 0);
  if (chdir(work_folder) != 0) die(std::string("changing to ") + work_folder);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  close(ready_fd);
  execv(program[0], program);
  die(std::string("starting ") + program[0]);
}

// Passes signals on until the rank has ended; its wait status.
int watch(pid_t rank, const sigset_t& signals) {
  while (true) {
    int status = 0;
    const pid_t ended = waitpid(rank, &status, WNOHANG);
    if (ended == rank) return status;
    const int signal = sigwaitinfo(&signals, nullptr);
    if (signal == SIGTERM) kill(-rank, SIGTERM);
    if (signal == SIGUSR1) kill(-rank, SIGKILL);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: lctl-keeper RANK_FOLDER WORK_FOLDER READY_FD PROGRAM [ARGUMENT ...]\n"
                         "Started by lctl-worker for each rank; not meant to be run by hand.\n");
    return kUsageError;
  }
  const std::string folder = argv[1];
  const int ready_fd = std::atoi(argv[3]);

  setsid();
  signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int each : {SIGTERM, SIGINT, SIGUSR1, SIGCHLD}) sigaddset(&signals, each);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  redirect(folder + "/stdout", STDOUT_FILENO);
  redirect(folder + "/stderr", STDERR_FILENO);

  int go[2];
  if (pipe2(go, O_CLOEXEC) != 0) die("making a pipe");
  const pid_t rank = fork();
  if (rank < 0) die("forking");
  if (rank == 0) become(argv + 4, argv[2], go[0], ready_fd);
  setpgid(rank, rank);  // in both, so that neither has to wait for the other

  const std::string line = std::to_string(getpid()) + " " + std::to_string(start_time(getpid())) + " " +
                           std::to_string(rank) + " " + std::to_string(start_time(rank)) + "\n";
  write_whole(folder + "/process", line);
  if (write(go[1], "g", 1) != 1) die("starting the rank");
  close(go[0]);
  close(go[1]);
  [[maybe_unused]] const ssize_t told = write(ready_fd, line.data(), line.size());
  close(ready_fd);
  // A listening socket that was handed down belongs to the rank alone now.
  for (int fd = 3; fd < 64; ++fd) close(fd);

  const int status = watch(rank, signals);
  kill(-rank, SIGKILL);  // whatever it left behind in its group
  write_whole(folder + "/exit", WIFSIGNALED(status)
                                    ? "signal " + std::to_string(WTERMSIG(status)) + "\n"
                                    : "exit " + std::to_string(WEXITSTATUS(status)) + "\n");
  return 0;
}
