// The code that a job is submitted from: the working tree of git around a folder.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "proto/lctl/v1/job.pb.h"

namespace lctl::cli {

// The commit, and what differs from it, with the bounds of SourceCode. Asks the `git` that is in
// PATH, which takes some 10 ms in a small repository; changes nothing, and runs no program that the
// repository's own configuration names. nullopt when there is no git, or the folder is in no
// working tree. Blocks; any thread.
std::optional<v1::SourceCode> read_working_tree(const std::filesystem::path& folder);

// A remote's URL without what only its owner should have: user and password of http(s), the
// password of any other.
std::string without_password(std::string_view url);

// Of a diff of git's, the changes of whole files that fit into `limit` bytes together, in their
// order.
struct FittingDiff {
  std::string text;
  int files_left_out = 0;
};
FittingDiff fitting_diff(std::string_view diff, std::size_t limit);

}  // namespace lctl::cli
