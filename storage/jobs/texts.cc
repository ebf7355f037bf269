#include "storage/jobs/texts.h"

#include <fmt/format.h>

#include <algorithm>

namespace lctl::storage {
namespace {

constexpr std::size_t kShownBytes = 80;

bool is_control(char c) { return static_cast<unsigned char>(c) < 32 || c == 127; }

}  // namespace

std::string shown(std::string_view text) {
  std::string result(text.substr(0, kShownBytes));
  std::replace_if(result.begin(), result.end(), is_control, '?');
  return text.size() > kShownBytes ? result + "…" : result;
}

absl::Status check_text(std::string_view what, std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "{} has {} bytes; at most {} are allowed: shorten it", what, text.size(), max_bytes));
}

absl::Status check_line(std::string_view what, std::string_view text, std::size_t max_bytes) {
  if (text.empty()) return absl::InvalidArgumentError(fmt::format("{} is empty", what));
  if (std::any_of(text.begin(), text.end(), is_control)) {
    return absl::InvalidArgumentError(fmt::format(
        "{} '{}' has a control character; expected one line of text", what, shown(text)));
  }
  return check_text(what, text, max_bytes);
}

}  // namespace lctl::storage
