#include "client/cli/checkpoint_choice.h"

#include <fmt/format.h>

#include <algorithm>

namespace lctl::cli {

absl::StatusOr<v1::Checkpoint> choose_checkpoint(const std::vector<v1::Checkpoint>& all,
                                                 const std::string& wanted,
                                                 const std::string& job) {
  if (all.empty()) return absl::NotFoundError(fmt::format("job {} has no checkpoints yet", job));
  const v1::Checkpoint* found = nullptr;
  int matches = 0;
  for (const auto& checkpoint : all) {  // the newest match stays
    const auto& written = checkpoint.written();
    // A damaged one only by its id.
    const bool by_word = checkpoint.damage().empty() &&
                         ((wanted == "newest") || (wanted == "last" && written.is_last()) ||
                          ((wanted == "best" || wanted.empty()) && written.is_best()));
    if (by_word) found = &checkpoint;
    if (!wanted.empty() && checkpoint.id().rfind(wanted, 0) == 0) {
      found = &checkpoint;
      ++matches;
    }
  }
  if (matches > 1) {
    return absl::InvalidArgumentError(
        fmt::format("--checkpoint: several ids begin with `{}`; give more of it", wanted));
  }
  if (found != nullptr) return *found;
  if (wanted.empty()) {
    const auto sound = std::find_if(all.rbegin(), all.rend(),
                                    [](const auto& each) { return each.damage().empty(); });
    if (sound != all.rend()) return *sound;
    return absl::DataLossError(fmt::format(
        "all checkpoints of job {} are damaged; --checkpoint ID downloads one all the same", job));
  }
  return absl::NotFoundError(fmt::format(
      "job {} has no checkpoint `{}`; `lctl checkpoints list {}` shows them", job, wanted, job));
}

}  // namespace lctl::cli
