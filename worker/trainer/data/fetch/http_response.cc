#include "worker/trainer/data/fetch/http_response.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace lctl {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// The whole text is one number that fits.
std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<ContentRange> content_range(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (text.substr(0, kUnit.size()) != kUnit) return std::nullopt;
  text.remove_prefix(kUnit.size());
  const std::size_t dash = text.find('-');
  const std::size_t slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash)
    return std::nullopt;
  const auto first = number(trimmed(text.substr(0, dash)));
  const auto last = number(text.substr(dash + 1, slash - dash - 1));
  const auto total = number(text.substr(slash + 1));
  if (!first || !last || *last < *first || (total && *last >= *total)) return std::nullopt;
  return ContentRange{*first, *last, total};
}

bool is_name(std::string_view text, std::string_view lower_name) {
  return std::equal(
      text.begin(), text.end(), lower_name.begin(), lower_name.end(), [](char c, char wanted) {
        return (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) == wanted;
      });
}

}  // namespace

void read_header_line(std::string_view line, HttpResponse& response) {
  if (line.substr(0, 5) == "HTTP/") {
    response = HttpResponse();
    const std::size_t space = std::min(line.find(' '), line.size());
    const auto status = number(trimmed(line.substr(space)).substr(0, 3));
    response.status = status ? static_cast<int>(*status) : 0;
    return;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (is_name(name, "etag")) {
    response.validators.etag = as_validator(value);
  } else if (is_name(name, "last-modified")) {
    response.validators.last_modified = as_validator(value);
  } else if (is_name(name, "content-length")) {
    response.content_length = number(value);
  } else if (is_name(name, "content-range")) {
    response.range = content_range(value);
  }
}

}  // namespace lctl
