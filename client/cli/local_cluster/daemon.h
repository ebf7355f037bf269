// One daemon of a local cluster: a process whose output goes to a file.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace lctl::cli {

struct DaemonSpec {
  std::string name;                  // "server", "worker-1"
  std::vector<std::string> command;  // program and arguments
  std::string log_path;              // appended to; begun anew when it has grown large
  std::vector<int> cores;            // it may run on these; empty = all
};

// The process ends with the thread that started it: daemons get --die-with-parent. It has a
// process group of its own, so that Ctrl-C reaches it only through this program.
// Thread rule: one strand only, that of the main thread.
class Daemon {
 public:
  explicit Daemon(DaemonSpec spec) : spec_(std::move(spec)) {}

  absl::Status start();
  void signal(int number);
  // Tells it that its process has ended (the owner reaps all children). `wait_status` is waitpid's.
  void ended(int wait_status);

  bool running() const { return pid_ != 0; }
  pid_t pid() const { return pid_; }
  const std::string& name() const { return spec_.name; }
  const std::string& log_path() const { return spec_.log_path; }
  std::vector<std::string>& command() { return spec_.command; }
  // "exit code 1", "killed by signal 9 (Killed)"; "" before it ended once.
  const std::string& last_end() const { return last_end_; }

  // What it has printed since its last start.
  std::string output() const;
  // The last `lines` of that.
  std::string last_output(int lines) const;

 private:
  DaemonSpec spec_;
  pid_t pid_ = 0;  // 0 = does not run
  std::int64_t log_begin_ = 0;
  std::string last_end_;
};

}  // namespace lctl::cli
