// The shards of a data set, opened when they are needed.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "worker/trainer/data/webdataset/read_only_file.h"

namespace lctl::webdataset {

// Turns a URL into the path of a local file that holds the same bytes. May take long, may throw.
// Called by several threads at once; for one URL again when its file has been closed meanwhile.
using ResolveUrl = std::function<std::string(const std::string& url)>;

// A shuffle buffer may hold samples of thousands of shards, a process has some hundred descriptors:
// only the shards that were used last stay open. Thread rule: internally locked; opening a file
// keeps nobody else waiting.
class OpenShards {
 public:
  static constexpr std::size_t kMostOpen = 64;

  // `resolve` may be empty when no shard is a URL.
  OpenShards(std::vector<std::string> names, ResolveUrl resolve, std::size_t most_open = kMostOpen);

  std::size_t size() const { return names_.size(); }
  const std::string& name(std::size_t shard) const { return names_[shard]; }  // path or URL
  bool fetches() const { return resolve_ != nullptr; }

  // Throws std::runtime_error for a file that cannot be opened, and what `resolve` throws; both
  // begin with the shard's name.
  std::shared_ptr<const ReadOnlyFile> open(std::size_t shard);

  // The same, without keeping it open.
  std::shared_ptr<const ReadOnlyFile> open_once(std::size_t shard) const;

 private:
  using Open = std::pair<std::size_t, std::shared_ptr<const ReadOnlyFile>>;

  const std::vector<std::string> names_;
  const ResolveUrl resolve_;
  const std::size_t most_open_;
  std::mutex mutex_;
  std::list<Open> open_;  // guarded by mutex_; used last comes first
};

}  // namespace lctl::webdataset
