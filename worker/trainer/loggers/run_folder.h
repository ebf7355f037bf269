// How loggers number the folders of runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>

namespace lctl {

// The next free version in that folder: one more than the highest version_<N>, else 0.
std::int64_t next_version(const std::filesystem::path& root);

// The version that the user gave, or the next free one in that folder.
std::variant<std::int64_t, std::string> settled_version(
    const std::variant<std::monostate, std::int64_t, std::string>& given,
    const std::filesystem::path& root);

}  // namespace lctl
