#include "client/cli/local_cluster/programs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/status.h"

namespace lctl::cli {

namespace fs = std::filesystem;

std::vector<std::string> program_candidates(std::string_view place, const std::string& own_folder,
                                            const VariableLookup& variable) {
  const fs::path name = fs::path(place).filename();
  if (const auto folder = variable("LCTL_BIN_DIR"); folder && !folder->empty()) {
    return {(fs::path(*folder) / name).string(), (fs::path(*folder) / place).string()};
  }
  std::vector<std::string> candidates;
  if (!own_folder.empty()) {
    candidates.push_back((fs::path(own_folder) / name).string());
    candidates.push_back((fs::path(own_folder).parent_path() / place).string());
  }
  std::string_view rest;
  const auto path = variable("PATH");
  if (path) rest = *path;
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    const std::string_view folder = rest.substr(0, colon);
    if (!folder.empty()) candidates.push_back((fs::path(folder) / name).string());
    rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
  }
  return candidates;
}

absl::StatusOr<std::string> find_program(std::string_view place, const VariableLookup& variable) {
  std::error_code ignored;
  const std::string own = fs::read_symlink("/proc/self/exe", ignored).parent_path().string();
  const std::vector<std::string> candidates = program_candidates(place, own, variable);
  for (const std::string& candidate : candidates) {
    if (::access(candidate.c_str(), X_OK) == 0 && !fs::is_directory(candidate, ignored)) {
      return fs::absolute(candidate, ignored).string();
    }
  }
  std::string places;
  for (const std::string& candidate : candidates) places += "\n  " + candidate;
  return absl::NotFoundError(fmt::format(
      "cannot find {}; put it beside lctl or set LCTL_BIN_DIR to the folder of the programs. "
      "Looked at:{}",
      fs::path(place).filename().string(), places));
}

absl::Status become(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execv(arguments[0], arguments.data());
  return errno_status(errno, "cannot start " + words[0]);
}

}  // namespace lctl::cli
