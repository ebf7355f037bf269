#include "worker/trainer/data/webdataset/member_name.h"

#include <cstddef>

#include "base/utf8.h"

namespace lctl::webdataset {
namespace {

constexpr std::size_t kLongestShown = 200;

char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

}  // namespace

// webdataset matches ^((?:.*/|)[^.]+)[.]([^/]*)$: the dot is the first of the last part. Before it
// stands something without a dot, which for "images/.jpg" is "images/". '.' is no line's end.
std::optional<MemberName> split_member_name(std::string_view name) {
  constexpr std::size_t kNone = std::string_view::npos;
  const std::size_t slash = name.rfind('/');
  const std::size_t dot = name.find('.', slash == kNone ? 0 : slash + 1);
  if (dot == kNone) return std::nullopt;
  const std::size_t dot_before = dot == 0 ? kNone : name.rfind('.', dot - 1);
  // Where [^.]+ can start at the earliest.
  const std::size_t start = dot_before == kNone ? 0 : name.find('/', dot_before) + 1;
  if (start >= dot || name.substr(0, start).find('\n') != kNone) return std::nullopt;
  MemberName parts{std::string(name.substr(0, dot)), std::string(name.substr(dot + 1))};
  for (char& letter : parts.extension) letter = lower(letter);
  return parts;
}

bool is_meta_name(std::string_view name) {
  const std::string_view first = name.substr(0, name.find('/'));
  return first.size() >= 4 && first.starts_with("__") && first.ends_with("__");
}

std::string shown(std::string_view name) {
  std::string text;
  while (!name.empty() && text.size() < kLongestShown) {
    const std::size_t length = utf8_length(name);
    const bool plain = length > 1 || (length == 1 && static_cast<unsigned char>(name[0]) >= 0x20 &&
                                      name[0] != '\x7f');
    if (plain) {
      text.append(name.substr(0, length));
    } else {
      text.push_back('?');
    }
    name.remove_prefix(length == 0 ? 1 : length);
  }
  if (!name.empty()) text.append("...");
  return text;
}

}  // namespace lctl::webdataset
