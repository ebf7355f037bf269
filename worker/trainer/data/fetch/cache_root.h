// Where a node keeps fetched files.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace lctl {

struct CacheRoots {
  std::vector<std::filesystem::path> folders;  // the first that can be used is
  bool chosen = false;                         // by LCTL_DATA_CACHE: nothing else will do
};

// $LCTL_DATA_CACHE; else $XDG_CACHE_HOME/lctl/data, $HOME/.cache/lctl/data, and
// /var/cache/lctl/data for services, whose users have no home. `variable` gives "" for one that is
// not set. Pure.
CacheRoots cache_roots(const std::function<std::string(const char*)>& variable);

// getenv as `cache_roots` wants it.
std::string environment_variable(const char* name);

// The first folder that can be made (mode 0755, with its parents) and written; else the first that
// is there to be read. Throws FetchError (kCache), which names all that were tried.
std::filesystem::path usable_root(const CacheRoots& roots);

}  // namespace lctl
