#include "client/cli/terminal/text.h"

#include <algorithm>
#include <cstdint>
#include <sstream>

#include "base/utf8.h"

namespace lctl::cli {
namespace {

// One character of UTF-8 text.
struct Glyph {
  std::uint32_t code = 0;
  std::size_t bytes = 1;
  bool valid = true;
};

Glyph glyph_at(std::string_view text, std::size_t at) {
  const std::size_t length = utf8_length(text.substr(at));
  if (length == 0) return {0, 1, false};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  if (length == 1) return {byte(0), 1, true};
  // The first byte's number bits, then six of each other.
  std::uint32_t code = byte(0) & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) code = (code << 6) | (byte(i) & 0x3fu);
  return {code, length, true};
}

int columns_of(std::uint32_t code) {
  const auto within = [code](std::uint32_t low, std::uint32_t high) {
    return code >= low && code <= high;
  };
  if (code < 0x20 || within(0x7f, 0x9f)) return 0;
  if (within(0x300, 0x36f) || within(0x200b, 0x200f) || within(0xfe00, 0xfe0f)) return 0;
  const bool wide = within(0x1100, 0x115f) || within(0x2e80, 0xa4cf) || within(0xac00, 0xd7a3) ||
                    within(0xf900, 0xfaff) || within(0xfe30, 0xfe6f) || within(0xff00, 0xff60) ||
                    within(0xffe0, 0xffe6) || within(0x1f300, 0x1faff) || within(0x20000, 0x3fffd);
  return wide ? 2 : 1;
}

// Bytes of the colour sequence that begins at `at`; 0 = none does.
std::size_t escape_length(std::string_view text, std::size_t at) {
  if (text[at] != '\x1b' || at + 1 >= text.size() || text[at + 1] != '[') return 0;
  std::size_t end = at + 2;
  while (end < text.size() && (text[end] < '@' || text[end] > '~')) ++end;
  return std::min(end + 1, text.size()) - at;
}

// The longest prefix of at most `width` columns.
std::string_view prefix(std::string_view text, int width) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Glyph glyph = glyph_at(text, at);
    width -= columns_of(glyph.code);
    if (width < 0) break;
    at += glyph.bytes;
  }
  return text.substr(0, at);
}

}  // namespace

int display_width(std::string_view text) {
  int width = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t escape = escape_length(text, at)) {
      at += escape;
      continue;
    }
    const Glyph glyph = glyph_at(text, at);
    width += glyph.valid ? columns_of(glyph.code) : 1;
    at += glyph.bytes;
  }
  return width;
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Glyph glyph = glyph_at(text, at);
    if (text[at] == '\t' || text[at] == '\n' || text[at] == '\r') {
      out += ' ';
    } else if (!glyph.valid || glyph.code < 0x20 || (glyph.code >= 0x7f && glyph.code <= 0x9f) ||
               (glyph.code >= 0x202a && glyph.code <= 0x202e)) {  // bidirectional overrides too
      out += '?';
    } else {
      out += text.substr(at, glyph.bytes);
    }
    at += glyph.bytes;
  }
  return out;
}

void print_lines(std::ostream& out, const std::string& text) {
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out << printable(line) << '\n';
}

std::string fit(std::string_view text, int width, const Look& look) {
  if (display_width(text) <= width) return std::string(text);
  if (width <= 0) return "";
  return std::string(prefix(text, width - 1)) + std::string(look.ellipsis());
}

std::string pad(std::string text, int width, bool right_aligned) {
  const int missing = width - display_width(text);
  if (missing <= 0) return text;
  const std::string blanks(static_cast<std::size_t>(missing), ' ');
  return right_aligned ? blanks + text : std::move(text) + blanks;
}

std::vector<std::string> wrap(std::string_view text, int width) {
  width = std::max(width, 1);
  std::vector<std::string> lines;
  std::string line;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = text.find_first_not_of(" \n", at);
    if (begin == std::string_view::npos) break;
    const std::size_t end = std::min(text.find_first_of(" \n", begin), text.size());
    std::string_view word = text.substr(begin, end - begin);
    at = end;
    if (!line.empty() && display_width(line) + 1 + display_width(word) > width) {
      lines.push_back(std::move(line));
      line.clear();
    }
    if (!line.empty()) line += ' ';
    while (display_width(word) > width) {
      std::string_view part = prefix(word, width);
      if (part.empty()) part = word.substr(0, glyph_at(word, 0).bytes);
      lines.emplace_back(part);
      word.remove_prefix(part.size());
    }
    line += word;
  }
  if (!line.empty()) lines.push_back(std::move(line));
  return lines;
}

}  // namespace lctl::cli
