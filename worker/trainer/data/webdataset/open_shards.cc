#include "worker/trainer/data/webdataset/open_shards.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "jobspec/input_source.h"
#include "worker/trainer/core/errors.h"

namespace lctl::webdataset {

OpenShards::OpenShards(std::vector<std::string> names, ResolveUrl resolve, std::size_t most_open)
    : names_(std::move(names)), resolve_(std::move(resolve)), most_open_(most_open) {}

std::shared_ptr<const ReadOnlyFile> OpenShards::open(std::size_t shard) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(open_.begin(), open_.end(),
                                    [&](const Open& entry) { return entry.first == shard; });
    if (found != open_.end()) {
      open_.splice(open_.begin(), open_, found);
      return found->second;
    }
  }
  std::shared_ptr<const ReadOnlyFile> file = open_once(shard);
  std::shared_ptr<const ReadOnlyFile> closed;  // outside of the lock, if nobody reads it any more
  const std::lock_guard lock(mutex_);
  open_.emplace_front(shard, file);
  if (open_.size() > most_open_) {
    closed = std::move(open_.back().second);
    open_.pop_back();
  }
  return file;
}

std::shared_ptr<const ReadOnlyFile> OpenShards::open_once(std::size_t shard) const {
  const std::string& name = names_[shard];
  if (resolve_ == nullptr || !jobspec::is_url(name)) return ReadOnlyFile::open(name);
  std::string path;
  try {
    path = resolve_(name);
  } catch (const RunInterrupted&) {
    throw;
  } catch (const MisconfigurationException& error) {
    throw MisconfigurationException(fmt::format("{}: {}", name, error.what()));
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(fmt::format("{}: {}", name, error.what()));
  }
  return ReadOnlyFile::open(path);
}

}  // namespace lctl::webdataset
