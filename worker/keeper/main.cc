// lctl-keeper: the parent of one rank.
//
//   lctl-keeper RANK_FOLDER WORK_FOLDER READY_FD LEASE GRACE_MS PROGRAM [ARGUMENT ...]
//
// Only a parent learns how a process ended, and the node daemon must be replaceable while ranks
// run: so each rank has this small parent, which outlives the daemon and leaves the exit status in
// a file. If the keeper itself is killed the kernel kills the rank: nothing runs unwatched.
//
//   1. It opens RANK_FOLDER/stdout and /stderr for appending and starts PROGRAM in a process group
//   of
//      its own, with WORK_FOLDER as working folder and the keeper's environment.
//   2. Before PROGRAM runs, RANK_FOLDER/process says who it is: "<keeper pid> <keeper start> <rank
//   pid>
//      <rank start>" (start: clock ticks since boot, as in /proc/<pid>/stat). The same line goes to
//      READY_FD, which is then closed. When the start fails READY_FD gets "error <errno> <text>".
//      A `process` that exists already is never replaced: a daemon that was restarted in the middle
//      of a launch puts one there to say "this rank does not run", and the keeper then gives up.
//   3. SIGTERM is passed on to the rank's group; SIGUSR1 kills it.
//   4. LEASE is a file ("-" = none) in which the daemon moves a deadline on as long as it hears the
//      server. When the deadline passes, whether the daemon lives or not, the rank's group gets
//      SIGTERM, and SIGKILL GRACE_MS later.
//   5. When the rank ends, its group is killed and RANK_FOLDER/exit says how: "exit <code>" or
//      "signal <number>", and " lease <ms>" behind it when the lease had run out. Its disk space is
//      taken at the start, so that a full disk cannot hide an exit. Both files appear in one step,
//      whole.
//
// Of the descriptors that it inherits the rank gets the one that LCTL_RENDEZVOUS_FD names, and no
// other.
//
// Plain POSIX on purpose: it starts in a millisecond and takes half a megabyte.
// Thread rule: single-threaded.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

namespace {

constexpr int kUsageError = 2;
constexpr int kStartFailed = 127;

// Where a failed start is told; -1 once it has succeeded.
int ready_fd = -1;

void write_all(int fd, const std::string& text) {
  [[maybe_unused]] const ssize_t ignored = write(fd, text.data(), text.size());
}

[[noreturn]] void die(const std::string& what) {
  const int error = errno;
  const std::string text = what + ": " + std::strerror(error) + "\n";
  write_all(STDERR_FILENO, "lctl-keeper: " + text);
  if (ready_fd >= 0) write_all(ready_fd, "error " + std::to_string(error) + " " + text);
  _exit(kStartFailed);
}

// Field 22 of /proc/<pid>/stat; 0 when the process is gone. The name in field 2 may hold anything,
// so fields are counted behind its closing parenthesis.
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

// Makes `path`, unless it exists, with all of `text` at once.
void write_once(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) die("creating " + temporary);
  const ssize_t written = write(fd, text.data(), text.size());
  if (written >= 0 && written != static_cast<ssize_t>(text.size())) errno = ENOSPC;
  if (written != static_cast<ssize_t>(text.size())) die("writing " + temporary);
  close(fd);
  if (link(temporary.c_str(), path.c_str()) != 0) die("making " + path);
  unlink(temporary.c_str());
}

// The file that will tell how the rank ended, with its disk space taken.
class ExitFile {
 public:
  explicit ExitFile(const std::string& path) : path_(path), temporary_(path + ".new") {
    fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd_ < 0) die("creating " + temporary_);
    const std::string room(kRoom, '\n');
    const ssize_t written = write(fd_, room.data(), room.size());
    if (written >= 0 && written != static_cast<ssize_t>(kRoom)) errno = ENOSPC;
    if (written != static_cast<ssize_t>(kRoom)) die("writing " + temporary_);
  }

  int fd() const { return fd_; }

  // `lease_ms`: of the lease that had run out; 0 = it had not.
  void publish(int status, long long lease_ms) {
    std::string text = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                           : "exit " + std::to_string(WEXITSTATUS(status));
    if (lease_ms > 0) text += " lease " + std::to_string(lease_ms);
    text += "\n";
    if (pwrite(fd_, text.data(), text.size(), 0) < 0 ||
        ftruncate(fd_, static_cast<off_t>(text.size())) != 0) {
      die("writing " + temporary_);
    }
    if (rename(temporary_.c_str(), path_.c_str()) != 0) die("renaming " + temporary_);
  }

 private:
  static constexpr std::size_t kRoom = 64;

  const std::string path_;
  const std::string temporary_;
  int fd_ = -1;
};

// The deadline of the node's ranks: "<nanoseconds since boot> <length in ms>", a deadline of 0 =
// none. A timer that goes off at the deadline finds it moved on, or still the same: no clock is
// read.
class Lease {
 public:
  Lease(const std::string& path, long grace_ms) : grace_ms_(grace_ms) {
    if (path == "-") return;
    fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) die("opening " + path);
    sigevent event = {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGALRM;
    if (timer_create(CLOCK_BOOTTIME, &event, &timer_) != 0) die("making a timer for the lease");
  }

  int fd() const { return fd_; }

  // At the start and at each SIGALRM: the signal that the rank is due, 0 = none.
  int look() {
    if (fd_ < 0) return 0;
    if (ran_out_ms_ > 0) return SIGKILL;
    long long deadline_ns = 0;
    long long length_ms = 0;
    read(deadline_ns, length_ms);
    if (deadline_ns > 0 && deadline_ns == armed_ns_) {
      ran_out_ms_ = std::max(1LL, length_ms);
      set_timer(grace_ms_ * kNsPerMs, /*flags=*/0);
      return grace_ms_ > 0 ? SIGTERM : SIGKILL;
    }
    armed_ns_ = deadline_ns;
    if (deadline_ns > 0) {
      set_timer(deadline_ns, TIMER_ABSTIME);
    } else {
      set_timer(kLookAgainNs, /*flags=*/0);
    }
    return 0;
  }

  // Its length, once it has run out; 0 = it has not.
  long long ran_out_ms() const { return ran_out_ms_; }

 private:
  static constexpr long long kNsPerMs = 1'000'000;
  static constexpr long long kNsPerSecond = 1'000'000'000;
  static constexpr long long kLookAgainNs = 60 * kNsPerSecond;

  // Leaves the values when there are none: then there is no lease just now.
  void read(long long& deadline_ns, long long& length_ms) const {
    char text[64];
    const ssize_t size = pread(fd_, text, sizeof(text) - 1, 0);
    if (size <= 0) return;
    text[size] = '\0';
    if (std::sscanf(text, "%lld %lld", &deadline_ns, &length_ms) != 2) deadline_ns = 0;
  }

  void set_timer(long long ns, int flags) {
    itimerspec at = {};
    at.it_value.tv_sec = ns / kNsPerSecond;
    at.it_value.tv_nsec = ns % kNsPerSecond;
    timer_settime(timer_, flags, &at, nullptr);
  }

  const long grace_ms_;
  int fd_ = -1;
  timer_t timer_ = {};
  long long armed_ns_ = 0;    // the deadline that the timer waits for
  long long ran_out_ms_ = 0;  // then the timer waits for the end of the grace
};

void redirect(const std::string& path, int target) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) die("opening " + path);
  dup2(fd, target);
  close(fd);
}

// Closes all descriptors but the first three and `kept` (those below 3 do not matter).
void close_inherited(std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned from = 3;
  for (const int fd : kept) {
    if (fd < static_cast<int>(from)) continue;
    const auto number = static_cast<unsigned>(fd);
    if (number > from) close_range(from, number - 1, 0);
    from = number + 1;
  }
  close_range(from, ~0U, 0);
}

// In the child: waits until the parent has recorded it, then becomes the program.
[[noreturn]] void become(char** program, const char* work_folder, int go) {
  ready_fd = -1;  // the parent's to use
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  char byte = 0;
  if (read(go, &byte, 1) != 1)
    _exit(kStartFailed);  // the keeper gave up, or died, before it said go
  setpgid(0, 0);
  const char* handed_down = std::getenv("LCTL_RENDEZVOUS_FD");
  close_inherited({handed_down == nullptr ? -1 : std::atoi(handed_down)});
  if (chdir(work_folder) != 0) die(std::string("changing to ") + work_folder);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  execv(program[0], program);
  die(std::string("starting ") + program[0]);
}

// Passes signals on until the rank has ended; its wait status.
int watch(pid_t rank, const sigset_t& signals, Lease& lease) {
  lease.look();  // starts its timer
  while (true) {
    int status = 0;
    const pid_t ended = waitpid(rank, &status, WNOHANG);
    if (ended == rank) return status;
    const int signal = sigwaitinfo(&signals, nullptr);
    if (signal == SIGTERM) kill(-rank, SIGTERM);
    if (signal == SIGUSR1) kill(-rank, SIGKILL);
    if (signal == SIGALRM) {
      if (const int due = lease.look(); due != 0) kill(-rank, due);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    std::fprintf(stderr,
                 "usage: lctl-keeper RANK_FOLDER WORK_FOLDER READY_FD LEASE GRACE_MS PROGRAM "
                 "[ARGUMENT ...]\n"
                 "Started by lctl-worker for each rank; not meant to be run by hand.\n");
    return kUsageError;
  }
  const std::string folder = argv[1];
  ready_fd = std::atoi(argv[3]);

  setsid();  // refused when the daemon has seen to it already
  signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int each : {SIGTERM, SIGINT, SIGUSR1, SIGALRM, SIGCHLD}) sigaddset(&signals, each);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  redirect(folder + "/stdout", STDOUT_FILENO);
  redirect(folder + "/stderr", STDERR_FILENO);
  ExitFile exit_file(folder + "/exit");
  Lease lease(argv[4], std::atol(argv[5]));

  int go[2];
  if (pipe2(go, O_CLOEXEC) != 0) die("making a pipe");
  const pid_t rank = fork();
  if (rank < 0) die("forking");
  if (rank == 0) {
    close(go[1]);  // or the child would keep itself waiting
    become(argv + 6, argv[2], go[0]);
  }
  setpgid(rank, rank);  // in both, so that neither has to wait for the other

  const std::string line = std::to_string(getpid()) + " " + std::to_string(start_time(getpid())) +
                           " " + std::to_string(rank) + " " + std::to_string(start_time(rank)) +
                           "\n";
  write_once(folder + "/process", line);
  if (write(go[1], "g", 1) != 1) die("starting the rank");
  write_all(ready_fd, line);
  ready_fd = -1;
  // A listening socket that was handed down belongs to the rank alone now.
  close_inherited({exit_file.fd(), lease.fd()});

  const int status = watch(rank, signals, lease);
  kill(-rank, SIGKILL);  // whatever it left behind in its group
  // One that has finished its work all the same has not ended for want of a lease.
  const bool succeeded = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  exit_file.publish(status, succeeded ? 0 : lease.ran_out_ms());
  return 0;
}
