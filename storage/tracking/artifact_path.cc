#include <fmt/format.h>

#include <algorithm>

#include "storage/jobs/texts.h"
#include "storage/tracking/artifact_store.h"

namespace lctl::storage {
namespace {

absl::Status refused(std::string_view path, std::string_view why) {
  return absl::InvalidArgumentError(fmt::format(
      "Invalid path: '{}' {}; expected parts of plain text joined by '/', such as model/MLmodel",
      shown(path), why));
}

}  // namespace

absl::Status check_artifact_path(std::string_view path) {
  if (path.empty()) return refused(path, "is empty");
  if (path.size() > kMaxArtifactPathBytes) {
    return refused(path,
                   fmt::format("has {} bytes, more than {}", path.size(), kMaxArtifactPathBytes));
  }
  if (std::any_of(path.begin(), path.end(), [](char c) {
        return c == '\\' || c == 127 || static_cast<unsigned char>(c) < 32;
      })) {
    return refused(path, "has a backslash or a control character");
  }
  std::size_t parts = 0;
  for (std::size_t begin = 0; begin <= path.size(); ++parts) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty()) return refused(path, "has an empty part");
    if (part == "." || part == "..") return refused(path, "leads to another folder");
    begin = end + 1;
  }
  if (parts > kMaxArtifactDepth) {
    return refused(path, fmt::format("has {} parts, more than {}", parts, kMaxArtifactDepth));
  }
  return absl::OkStatus();
}

}  // namespace lctl::storage
