// Input files from anywhere: `https://…/train.csv.gz#sha256=…` becomes a path.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "worker/trainer/data/fetch/cache_bound.h"
#include "worker/trainer/data/fetch/data_cache.h"
#include "worker/trainer/data/fetch/fetch_options.h"
#include "worker/trainer/data/fetch/source_url.h"

namespace lctl {

// Fetches what job files name:
//  - a path: is returned as it is, whether it exists or not;
//  - file://: the file's own path; with "#sha256=…" its content is checked, once per state of the
//    file and node;
//  - http(s)://: downloaded once per node into the cache (data_cache.h), whatever the number of
//    processes. With "#sha256=…" a cached file is used without asking the server; without, the
//    server is asked whether it is still the same, at most once per Fetcher and, for processes that
//    start together, once per node. When it does not answer, the cached file is used and that is
//    said.
// Returned paths end with the URL's file name, are for reading only, and stay while this object
// does.
//
// Throws FetchError, with a kind and whether trying again can help.
//
// Thread rule: internally locked; threads that want the same URL wait for the first.
class Fetcher {
 public:
  explicit Fetcher(FetchOptions options = {});

  std::filesystem::path fetch(const std::string& source);

  // Where what is made of a file belongs, on this node and for all of its processes
  // (DataCache::place_for).
  std::filesystem::path place_for(const std::filesystem::path& file);

  // Before so many bytes are written there for `what`: removes what nobody uses, if the cache has a
  // bound (cache_bound.h).
  void make_room(const std::string& what, std::uint64_t bytes);

 private:
  std::filesystem::path local(const SourceUrl& url);
  std::filesystem::path remote(const SourceUrl& url);
  std::filesystem::path locked(const DataCache& cache, const SourceUrl& url);
  std::filesystem::path from_read_only(const DataCache& cache, const SourceUrl& url);
  const DataCache& cache();
  CacheBound bound(const DataCache& cache) const;

  const FetchOptions options_;
  std::mutex mutex_;  // guards what follows
  std::unique_ptr<const DataCache> cache_;
  std::map<std::string, std::filesystem::path> known_;
};

}  // namespace lctl
