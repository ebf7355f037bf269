// How loggers number the folders of runs.
#pragma once

#include <cstdint>
#include <filesystem>

namespace lctl {

// The next free version in that folder: one more than the highest version_<N>, else 0.
std::int64_t next_version(const std::filesystem::path& root);

}  // namespace lctl
