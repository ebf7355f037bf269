// The files and folders that a data module reads, wherever they are.
#pragma once

#include <string>
#include <vector>

namespace lctl {

// For prepare_data(), once per node: fetches those of `inputs` that are URLs into the node's cache.
// Throws MisconfigurationException where trying again cannot help (404, a wrong checksum), else
// std::runtime_error; SigtermException or KeyboardInterrupt when the run is to end.
void fetch_inputs(const std::vector<std::string>& inputs);

// Where that input is on this node: the path itself, or the file in the cache that prepare_data()
// has fetched (fetches it when it has not). Throws as fetch_inputs() does. Any thread.
std::string local_file(const std::string& input);

// The same for a folder, which may be an archive's: "https://host/photos.tar.gz!/photos/train". It
// is fetched and unpacked in the node's cache. Throws as fetch_inputs() does, and BadSample for an
// archive that cannot be unpacked.
std::string local_folder(const std::string& input);

// For images: an archive that holds one folder and nothing beside it stands for that folder.
std::string local_image_folder(const std::string& input);

}  // namespace lctl
