#include "worker/trainer/data/webdataset/shard_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "jobspec/input_source.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/webdataset/brace_expansion.h"

namespace lctl::webdataset {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNamedMissing = 3;

bool is_compressed(std::string_view name) {
  name = name.substr(0, name.find('?'));  // of a URL
  for (const std::string_view ending : {".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst"}) {
    if (name.ends_with(ending)) return true;
  }
  return false;
}

[[noreturn]] void refuse_compressed(std::string_view name) {
  throw MisconfigurationException(fmt::format(
      "shards: {} is compressed; the samples of a compressed tar cannot be read in any order. "
      "Store plain .tar files (images are compressed already): gzip -d FILE",
      name));
}

std::vector<std::string> shards_in(const std::string& folder) {
  std::vector<std::string> found;
  std::string compressed;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::string path = entry->path().string();
    if (path.ends_with(".tar")) {
      found.push_back(std::move(path));
    } else if (is_compressed(path)) {
      compressed = std::move(path);
    }
  }
  if (error) {
    throw MisconfigurationException(
        fmt::format("shards: folder {} cannot be read: {}", folder, error.message()));
  }
  if (found.empty() && !compressed.empty()) refuse_compressed(compressed);
  if (found.empty())
    throw MisconfigurationException(fmt::format("shards: folder {} has no *.tar", folder));
  std::sort(found.begin(), found.end());
  return found;
}

// Missing files are told together: a wrong range is seen at once.
void check_files(const std::vector<std::string>& shards) {
  std::string missing;
  std::size_t count = 0;
  for (const std::string& shard : shards) {
    if (is_compressed(shard)) refuse_compressed(shard);
    std::error_code error;
    if (jobspec::is_url(shard) || fs::exists(shard, error)) continue;
    if (++count <= kNamedMissing) missing += fmt::format("{}{}", count == 1 ? "" : ", ", shard);
  }
  if (count == 0) return;
  if (count > kNamedMissing) missing += fmt::format(" and {} more", count - kNamedMissing);
  throw MisconfigurationException(fmt::format("shards: {} of {} {} not there: {}", count,
                                              shards.size(), count == 1 ? "is" : "are", missing));
}

}  // namespace

std::vector<std::string> list_shards(const std::vector<std::string>& patterns) {
  std::vector<std::string> shards;
  for (const std::string& pattern : patterns) {
    if (pattern.starts_with("pipe:")) {
      throw MisconfigurationException(fmt::format(
          "shards: '{}': commands are not run for shards; name files, folders or URLs", pattern));
    }
    for (std::string& path : expand_braces(pattern)) {
      std::error_code error;
      if (!jobspec::is_url(path) && fs::is_directory(path, error)) {
        std::vector<std::string> found = shards_in(path);
        std::move(found.begin(), found.end(), std::back_inserter(shards));
      } else {
        shards.push_back(std::move(path));
      }
    }
  }
  if (shards.empty()) throw MisconfigurationException("shards: names no shard");
  check_files(shards);
  return shards;
}

std::vector<std::size_t> shards_of_rank(std::size_t shards, int rank, int world_size) {
  const auto step = static_cast<std::size_t>(world_size);
  if (shards < step) {
    throw MisconfigurationException(fmt::format(
        "{} {} for {} ranks: each rank reads shards of its own, so there must be at least as many "
        "shards as ranks; write more, smaller shards, or train on fewer devices",
        shards, shards == 1 ? "shard" : "shards", world_size));
  }
  std::vector<std::size_t> own;
  for (std::size_t shard = static_cast<std::size_t>(rank); shard < shards; shard += step)
    own.push_back(shard);
  return own;
}

}  // namespace lctl::webdataset
