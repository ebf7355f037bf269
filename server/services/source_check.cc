#include "server/services/source_check.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace lctl::services {
namespace {

constexpr std::size_t kMaxTextBytes = 4096;
constexpr std::size_t kMaxCommitBytes = 64;  // SHA-256
constexpr std::size_t kMaxDiffBytes = 1 << 20;
constexpr int kMaxUntracked = 100;

absl::Status too_long(std::string_view field, std::size_t bytes, std::size_t limit) {
  return absl::InvalidArgumentError(
      fmt::format("source.{} has {} bytes; at most {} are allowed", field, bytes, limit));
}

}  // namespace

absl::Status check_source(const v1::SourceCode& source) {
  for (const auto& [field, text] :
       {std::pair("folder", &source.folder()), std::pair("branch", &source.branch()),
        std::pair("remote", &source.remote())}) {
    if (text->size() > kMaxTextBytes) return too_long(field, text->size(), kMaxTextBytes);
  }
  const std::string& commit = source.commit();
  if (commit.size() > kMaxCommitBytes ||
      commit.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return absl::InvalidArgumentError(
        fmt::format("source.commit is not the hexadecimal name of a commit (at most {} digits)",
                    kMaxCommitBytes));
  }
  if (source.diff().size() > kMaxDiffBytes)
    return too_long("diff", source.diff().size(), kMaxDiffBytes);
  if (source.untracked_size() > kMaxUntracked) {
    return absl::InvalidArgumentError(
        fmt::format("source.untracked has {} names; at most {} are allowed",
                    source.untracked_size(), kMaxUntracked));
  }
  for (const std::string& name : source.untracked()) {
    if (name.size() > kMaxTextBytes) return too_long("untracked", name.size(), kMaxTextBytes);
  }
  return absl::OkStatus();
}

}  // namespace lctl::services
