#include "worker/trainer/core/console.h"

#include <atomic>
#include <cstdio>
#include <mutex>
#include <set>
#include <string>

namespace lctl::console {
namespace {

std::atomic<int> rank{0};

void print(std::string_view prefix, std::string_view text) {
  std::string line;
  line.reserve(prefix.size() + text.size() + 1);
  line.append(prefix).append(text).push_back('\n');
  std::fwrite(line.data(), 1, line.size(),
              stderr);  // one write: lines of several processes do not mix
}

}  // namespace

void set_rank(int global_rank) { rank = global_rank; }

void info(std::string_view text) {
  if (rank == 0) print("", text);
}

void info_of_rank(std::string_view text) {
  const int of = rank;
  print(of == 0 ? "" : "[rank: " + std::to_string(of) + "] ", text);
}

void warn(std::string_view text) {
  if (rank != 0) return;
  static std::mutex mutex;
  static std::set<std::string, std::less<>> seen;
  {
    const std::lock_guard lock(mutex);
    if (seen.find(text) != seen.end()) return;
    seen.emplace(text);
  }
  print("warning: ", text);
}

}  // namespace lctl::console
