#include "worker/agent/last_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>

#include "base/printable_line.h"

namespace lctl::agent {
namespace {

constexpr std::int64_t kTailBytes = 4096;

}  // namespace

std::string last_words(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  if (!in) return "";
  in.seekg(std::max<std::int64_t>(0, static_cast<std::int64_t>(in.tellg()) - kTailBytes));
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const std::size_t end = text.find_last_not_of("\r\n\t ");
  if (end == std::string::npos) return "";
  const std::size_t before = text.find_last_of("\r\n", end);
  const std::size_t start = before == std::string::npos ? 0 : before + 1;
  return printable_line(std::string_view(text).substr(start, end + 1 - start));
}

std::string describe_exit(const RankExit& exit, const std::filesystem::path& stderr_file) {
  if (exit.lease_ms > 0) {
    return fmt::format("lease ran out: node has not heard from the server for {:g} s",
                       static_cast<double>(exit.lease_ms) / 1000);
  }
  if (exit.signaled)
    return fmt::format("killed by signal {} ({})", exit.number, strsignal(exit.number));
  return exit.number == 0 ? "" : last_words(stderr_file);
}

}  // namespace lctl::agent
