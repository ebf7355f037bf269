// The files that a data module reads, wherever they are.
#pragma once

#include <string>
#include <vector>

namespace lctl {

// For prepare_data(), once per node: fetches those of `inputs` that are URLs into the node's cache.
// Throws MisconfigurationException where trying again cannot help (404, a wrong checksum), else
// std::runtime_error.
void fetch_inputs(const std::vector<std::string>& inputs);

// Where that input is on this node: the path itself, or the file in the cache that prepare_data()
// has fetched (fetches it when it has not). Throws as fetch_inputs() does. Any thread.
std::string local_file(const std::string& input);

}  // namespace lctl
