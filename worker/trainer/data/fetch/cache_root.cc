#include "worker/trainer/data/fetch/cache_root.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "worker/trainer/data/fetch/fetch_error.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;

// "" = it is there and can be written.
std::string why_not_writable(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder.parent_path(), error);
  // The parents' error, if any, is mkdir's too.
  if (mkdir(folder.c_str(), 0755) == 0) {
    // Others share the node's cache, whatever this user's umask.
    if (chmod(folder.c_str(), 0755) != 0) return std::strerror(errno);
  } else if (errno != EEXIST) {
    return std::strerror(errno);
  }
  if (!fs::is_directory(folder, error)) return "not a folder";
  return faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0 ? ""
                                                                           : std::strerror(errno);
}

}  // namespace

CacheRoots cache_roots(const std::function<std::string(const char*)>& variable) {
  if (const std::string chosen = variable("LCTL_DATA_CACHE"); !chosen.empty())
    return {{fs::absolute(chosen).lexically_normal()}, true};
  CacheRoots roots;
  // A relative path in XDG_CACHE_HOME is to be ignored. Source: XDG Base Directory Specification.
  if (const fs::path base = variable("XDG_CACHE_HOME"); base.is_absolute()) {
    roots.folders.push_back(base / "lctl" / "data");
  } else if (const fs::path home = variable("HOME"); home.is_absolute()) {
    roots.folders.push_back(home / ".cache" / "lctl" / "data");
  }
  roots.folders.emplace_back("/var/cache/lctl/data");
  return roots;
}

std::string environment_variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path usable_root(const CacheRoots& roots) {
  std::string tried;
  for (const fs::path& folder : roots.folders) {
    const std::string why = why_not_writable(folder);
    if (why.empty()) return folder;
    tried += fmt::format("{}{}: {}", tried.empty() ? "" : "; ", folder.string(), why);
  }
  for (const fs::path& folder : roots.folders) {
    std::error_code error;
    if (fs::is_directory(folder, error) &&
        faccessat(AT_FDCWD, folder.c_str(), R_OK | X_OK, AT_EACCESS) == 0)
      return folder;
  }
  throw FetchError(FetchErrorKind::kCache, false,
                   fmt::format("there is no folder to keep fetched files in ({}); {}", tried,
                               roots.chosen ? "let LCTL_DATA_CACHE name one that can be written"
                                            : "set LCTL_DATA_CACHE to one that can be written"));
}

}  // namespace lctl
