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

std::variant<std::int64_t, std::string> settled_version(
    const std::variant<std::monostate, std::int64_t, std::string>& given,
    const std::filesystem::path& root) {
  if (const auto* number = std::get_if<std::int64_t>(&given)) return *number;
  if (const auto* text = std::get_if<std::string>(&given)) return *text;
  return next_version(root);
}

}  // namespace lctl
