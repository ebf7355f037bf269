#include "http/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace lctl::http {
namespace {

// -1 = none.
int hexadecimal(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

absl::StatusOr<std::vector<std::string>> parse_path(std::string_view text) {
  std::vector<std::string> segments;
  text.remove_prefix(1);  // its '/'
  if (text.empty()) return segments;
  while (true) {
    const std::size_t end = std::min(text.find('/'), text.size());
    LCTL_ASSIGN_OR_RETURN(std::string segment, percent_decode(text.substr(0, end), false));
    if (segment == "." || segment == "..") {
      return absl::InvalidArgumentError("the path has a segment '.' or '..'; send it resolved");
    }
    segments.push_back(std::move(segment));
    if (end == text.size()) return segments;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::string Target::path() const {
  if (segments.empty()) return "/";
  std::string text;
  for (const std::string& segment : segments) text += "/" + segment;
  return text;
}

absl::StatusOr<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char byte = text[i];
    if (byte == '%') {
      const int high = i + 2 < text.size() ? hexadecimal(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hexadecimal(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return absl::InvalidArgumentError(
            fmt::format("at byte {} of '{}' a '%' is not followed by two hexadecimal digits; write "
                        "%25 for the sign itself",
                        i, is_utf8(text) ? text : "(not UTF-8)"));
      }
      byte = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (byte == '+' && plus_is_space) {
      byte = ' ';
    }
    if (byte == '\0') return absl::InvalidArgumentError("the request's target holds a NUL byte");
    decoded.push_back(byte);
  }
  if (!is_utf8(decoded)) {
    return absl::InvalidArgumentError("the request's target is not UTF-8 once it is decoded");
  }
  return decoded;
}

absl::StatusOr<Query> parse_query(std::string_view text) {
  Query query;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view piece = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (piece.empty()) continue;
    if (query.size() == kMaxQueryValues) {
      return absl::InvalidArgumentError(
          fmt::format("more than {} values in the query", kMaxQueryValues));
    }
    const std::size_t equals = std::min(piece.find('='), piece.size());
    LCTL_ASSIGN_OR_RETURN(std::string name, percent_decode(piece.substr(0, equals), true));
    const std::string_view rest = piece.substr(std::min(equals + 1, piece.size()));
    LCTL_ASSIGN_OR_RETURN(std::string value, percent_decode(rest, true));
    query.emplace_back(std::move(name), std::move(value));
  }
  return query;
}

absl::StatusOr<Target> parse_target(std::string_view text) {
  if (text.size() > kMaxTargetBytes) {
    return absl::InvalidArgumentError(fmt::format(
        "a request target of {} bytes; at most {} are allowed", text.size(), kMaxTargetBytes));
  }
  if (!text.starts_with('/')) {
    return absl::InvalidArgumentError("the request target does not begin with '/'");
  }
  text = text.substr(0, text.find('#'));  // a fragment is the client's own affair
  const std::size_t mark = std::min(text.find('?'), text.size());
  Target target;
  LCTL_ASSIGN_OR_RETURN(target.segments, parse_path(text.substr(0, mark)));
  LCTL_ASSIGN_OR_RETURN(target.query, parse_query(text.substr(std::min(mark + 1, text.size()))));
  return target;
}

}  // namespace lctl::http
