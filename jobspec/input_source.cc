#include "jobspec/input_source.h"

#include <algorithm>
#include <array>

namespace lctl::jobspec {
namespace {

constexpr std::array<std::string_view, 4> kEndings = {".tar", ".tar.gz", ".tgz", ".zip"};
constexpr std::string_view kInside = "!/";

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// In capitals or not.
bool ends_with(std::string_view name, std::string_view ending) {
  if (name.size() < ending.size()) return false;
  name.remove_prefix(name.size() - ending.size());
  return std::equal(name.begin(), name.end(), ending.begin(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

bool names_archive(std::string_view text) {
  if (is_url(text)) text = text.substr(0, text.find_first_of("?#"));
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return ends_with(text, ending); });
}

}  // namespace

// Source: RFC 3986, 3.1.
bool is_url(std::string_view text) {
  const std::size_t end = text.find("://");
  if (end == std::string_view::npos || end == 0 || !is_letter(text[0])) return false;
  const std::string_view scheme = text.substr(0, end);
  return std::all_of(scheme.begin(), scheme.end(), [](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}

std::optional<ArchiveFolder> archive_folder(std::string_view text) {
  for (std::size_t at = text.find(kInside); at != std::string_view::npos;
       at = text.find(kInside, at + 1)) {
    if (names_archive(text.substr(0, at)))
      return ArchiveFolder{text.substr(0, at), text.substr(at + kInside.size())};
  }
  if (names_archive(text)) return ArchiveFolder{text, ""};
  return std::nullopt;
}

}  // namespace lctl::jobspec
