#include "worker/trainer/data/archives/member_path.h"

#include <algorithm>
#include <cstddef>

#include "worker/trainer/data/bad_sample.h"

namespace lctl::archives {
namespace {

constexpr std::size_t kLongestPart = 255;  // of the usual file systems
constexpr std::size_t kMostParts = 64;

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    if (const std::string_view part = path.substr(0, end); !part.empty() && part != ".")
      parts.push_back(part);
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

}  // namespace

std::vector<std::string> member_path(std::string_view name) {
  if (name.starts_with('/')) throw BadSample("has an absolute path");
  if (name.find('\0') != std::string_view::npos) throw BadSample("has a NUL byte in its name");
  const std::vector<std::string_view> parts = parts_of(name);
  if (parts.size() > kMostParts) throw BadSample("lies in more than 64 folders");
  for (const std::string_view part : parts) {
    if (part == "..") throw BadSample("leads out of the folder ('..')");
    if (part.size() > kLongestPart) throw BadSample("has a name of more than 255 bytes");
  }
  return {parts.begin(), parts.end()};
}

void check_link_target(std::string_view target, std::size_t depth) {
  if (target.empty()) throw BadSample("is a link to nothing");
  if (target.starts_with('/')) throw BadSample("is a link to an absolute path");
  if (target.find('\0') != std::string_view::npos) throw BadSample("is a link with a NUL byte");
  std::size_t up = 0;
  bool named = false;
  for (const std::string_view part : parts_of(target)) {
    if (part != "..") {
      named = true;
    } else if (named || ++up > depth) {
      throw BadSample("is a link that leads out of the folder ('..')");
    }
  }
}

}  // namespace lctl::archives
