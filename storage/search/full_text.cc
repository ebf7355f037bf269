#include "storage/search/full_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace lctl::storage {
namespace {

bool is_space(char c) { return static_cast<unsigned char>(c) <= ' ' || c == 127; }

// Beyond ASCII FTS5 decides; a word that has nothing for it there just finds nothing.
bool has_letter(std::string_view word) {
  return std::any_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           static_cast<unsigned char>(c) >= 0x80;
  });
}

std::string prefix_of(std::string_view word) {
  std::string quoted = "\"";
  for (const char c : word) {
    if (c == '"') quoted += c;
    quoted += c;
  }
  return quoted + "\"*";
}

}  // namespace

absl::StatusOr<std::string> full_text_query(std::string_view text) {
  if (text.size() > kMaxSearchTextBytes) {
    return absl::InvalidArgumentError(
        fmt::format("the text to search for has {} bytes; at most {} are allowed", text.size(),
                    kMaxSearchTextBytes));
  }
  std::string query;
  std::size_t words = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    while (at < text.size() && !is_space(text[at])) ++at;
    const std::string_view word = text.substr(begin, at - begin);
    if (at < text.size()) ++at;
    if (!has_letter(word)) continue;
    if (++words > kMaxSearchWords) {
      return absl::InvalidArgumentError(fmt::format(
          "the text to search for has more than {} words; give fewer", kMaxSearchWords));
    }
    query += (query.empty() ? "" : " ") + prefix_of(word);
  }
  if (query.empty()) {
    return absl::InvalidArgumentError(
        "the text to search for has no word: expected letters or digits");
  }
  return query;
}

}  // namespace lctl::storage
