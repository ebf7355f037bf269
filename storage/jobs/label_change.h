// What people say about a job after it was submitted: tags and a note.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace lctl::storage {

inline constexpr std::size_t kMaxTagKeyBytes = 250;      // as MLflow's
inline constexpr std::size_t kMaxTagValueBytes = 8'000;  // as MLflow's
inline constexpr std::size_t kMaxNoteBytes = 8'000;
inline constexpr std::size_t kMaxTagsOfJob = 256;
inline constexpr std::size_t kMaxTagBytesOfJob = 256 << 10;  // of all, keys and values

using Tags = std::map<std::string, std::string>;

// Applied whole or not at all; removals first.
struct LabelChange {
  Tags tags;                              // set or replaced
  std::vector<std::string> removed_tags;  // the job must have them
  std::optional<std::string> note;        // "" = none
};

// What can be said without the job: InvalidArgument for a key or text out of bounds, a control
// character in a key, a tag that is both set and removed.
absl::Status check_change(const LabelChange& change);

// The tags after the change. NotFound for a removed tag that is not there; InvalidArgument when
// they become too many or too large together.
absl::StatusOr<Tags> apply_change(Tags tags, const LabelChange& change);

}  // namespace lctl::storage
