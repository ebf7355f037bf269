// Which files a data set of shards consists of.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace lctl::webdataset {

// The shards that the patterns stand for, in their order: files or URLs with braces
// (expand_braces), and folders, of which every *.tar counts, sorted by name. Throws
// MisconfigurationException that names missing files, folders without a shard, and compressed
// shards. URLs are not looked at.
std::vector<std::string> list_shards(const std::vector<std::string>& patterns);

// Those of one rank: every world_size-th. Throws MisconfigurationException when there are fewer
// shards than ranks. Pure.
std::vector<std::size_t> shards_of_rank(std::size_t shards, int rank, int world_size);

}  // namespace lctl::webdataset
