#include "worker/trainer/loggers/run_folder.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <system_error>

namespace lctl {

std::int64_t next_version(const std::filesystem::path& root) {
  static constexpr std::string_view kPrefix = "version_";
  std::int64_t next = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root, error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(kPrefix, 0) != 0 || !entry.is_directory()) continue;
    std::int64_t number = 0;
    const char* end = name.data() + name.size();
    const auto [stop, failure] = std::from_chars(name.data() + kPrefix.size(), end, number);
    if (failure == std::errc() && stop == end) next = std::max(next, number + 1);
  }
  return next;
}

}  // namespace lctl
