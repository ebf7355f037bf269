#include "worker/agent/process_look.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "base/printable_line.h"
#include "worker/agent/small_file.h"

namespace lctl::agent {
namespace {

namespace fs = std::filesystem;

std::string read_line(const fs::path& file) {
  std::string read = read_small_file(file);
  while (!read.empty() && read.back() == '\n') read.pop_back();
  return read;
}

fs::path folder(pid_t pid) { return fs::path("/proc") / std::to_string(pid); }

// The kernel's function that it sleeps in; "" when it runs, or the kernel keeps it to itself.
std::string sleeps_in(const fs::path& task) {
  std::string where = read_line(task / "wchan");
  return where == "0" ? "" : printable_line(where, 64);
}

}  // namespace

char parse_state(std::string_view stat) {
  // The name before it may hold anything but ends with the last parenthesis.
  const std::size_t end = stat.rfind(") ");
  return end == std::string_view::npos || end + 2 >= stat.size() ? '?' : stat[end + 2];
}

char process_state(pid_t pid) { return parse_state(read_line(folder(pid) / "stat")); }

std::string describe_state(pid_t pid) {
  switch (process_state(pid)) {
    case 'T':
      return "stopped (SIGSTOP)";
    case 't':
      return "held by a debugger";
    case 'D': {
      const std::string where = sleeps_in(folder(pid));
      return fmt::format("waiting in the kernel for a device or a file system (D{})",
                         where.empty() ? "" : ", in " + where);
    }
    case 'Z':
      return "a zombie";
    default:
      return "";
  }
}

std::string describe_threads(pid_t pid, std::size_t limit) {
  std::string text;
  std::size_t count = 0;
  std::error_code error;
  fs::directory_iterator tasks(folder(pid) / "task", error);
  for (; !error && tasks != fs::directory_iterator(); tasks.increment(error)) {
    if (++count > limit) continue;
    const fs::path task = tasks->path();
    const std::string where = sleeps_in(task);
    text += fmt::format("{}{} {} {}{}", count == 1 ? "" : ", ",
                        printable_line(read_line(task / "comm"), 32), task.filename().string(),
                        parse_state(read_line(task / "stat")), where.empty() ? "" : " " + where);
  }
  if (count > limit) text += fmt::format(" and {} more", count - limit);
  return text;
}

}  // namespace lctl::agent
