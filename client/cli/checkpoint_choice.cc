#include "client/cli/checkpoint_choice.h"

#include <fmt/format.h>

namespace lctl::cli {

absl::StatusOr<v1::Checkpoint> choose_checkpoint(const std::vector<v1::Checkpoint>& all,
                                                 const std::string& wanted,
                                                 const std::string& job) {
  if (all.empty()) return absl::NotFoundError(fmt::format("job {} has no checkpoints yet", job));
  const v1::Checkpoint* found = nullptr;
  int matches = 0;
  for (const auto& checkpoint : all) {  // the newest match stays
    const auto& written = checkpoint.written();
    const bool by_word = (wanted == "newest") || (wanted == "last" && written.is_last()) ||
                         ((wanted == "best" || wanted.empty()) && written.is_best());
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
  if (wanted.empty()) return all.back();
  return absl::NotFoundError(fmt::format(
      "job {} has no checkpoint `{}`; `lctl checkpoints list {}` shows them", job, wanted, job));
}

}  // namespace lctl::cli
