#include "storage/jobs/label_change.h"

#include <fmt/format.h>

#include <string_view>

#include "storage/jobs/texts.h"

namespace lctl::storage {
namespace {

absl::Status check_key(std::string_view key) {
  if (key.empty() || key.size() > kMaxTagKeyBytes) {
    return absl::InvalidArgumentError(
        fmt::format("the key of tag '{}' has {} bytes; 1 to {} are expected", shown(key),
                    key.size(), kMaxTagKeyBytes));
  }
  for (const char c : key) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) {
      return absl::InvalidArgumentError(fmt::format(
          "the key of tag '{}' has a control character; expected one line of text", shown(key)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status check_change(const LabelChange& change) {
  for (const auto& [key, value] : change.tags) {
    LCTL_RETURN_IF_ERROR(check_key(key));
    if (value.size() > kMaxTagValueBytes) {
      return absl::InvalidArgumentError(
          fmt::format("the value of tag '{}' has {} bytes; at most {} are allowed", shown(key),
                      value.size(), kMaxTagValueBytes));
    }
  }
  for (const std::string& key : change.removed_tags) {
    LCTL_RETURN_IF_ERROR(check_key(key));
    if (change.tags.contains(key)) {
      return absl::InvalidArgumentError(
          fmt::format("tag '{}' is to be set and removed; do one of them", shown(key)));
    }
  }
  if (change.note && change.note->size() > kMaxNoteBytes) {
    return absl::InvalidArgumentError(fmt::format("the note has {} bytes; at most {} are allowed",
                                                  change.note->size(), kMaxNoteBytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<Tags> apply_change(Tags tags, const LabelChange& change) {
  for (const std::string& key : change.removed_tags) {
    if (tags.erase(key) > 0) continue;
    std::string others;
    for (const auto& [known, value] : tags) {
      if (others.size() > 200) {
        others += ", …";
        break;
      }
      others += (others.empty() ? "" : ", ") + shown(known);
    }
    return absl::NotFoundError(
        fmt::format("it has no tag '{}'; it has {}", shown(key), others.empty() ? "none" : others));
  }
  for (const auto& [key, value] : change.tags) tags.insert_or_assign(key, value);
  std::size_t bytes = 0;
  for (const auto& [key, value] : tags) bytes += key.size() + value.size();
  // What a job has, it may keep.
  if (!change.tags.empty() && (tags.size() > kMaxTagsOfJob || bytes > kMaxTagBytesOfJob)) {
    return absl::InvalidArgumentError(
        fmt::format("it would have {} tags of {} bytes together; at most {} of {} are allowed: "
                    "remove some",
                    tags.size(), bytes, kMaxTagsOfJob, kMaxTagBytesOfJob));
  }
  return tags;
}

}  // namespace lctl::storage
