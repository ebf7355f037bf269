// Archives as folders: unpacked once per node, whatever the number of jobs and ranks.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "worker/trainer/data/archives/unpack.h"

namespace lctl::archives {

struct UnpackedArchiveOptions {
  UnpackOptions unpack;
  std::function<void(const std::string&)> say;  // what is unpacked, for whom this process waits
};

// The folder with all that the archive at `path` holds. It lies in `place`, a folder for this
// content alone (Fetcher::place_for), which is filled by the first process that asks; the others
// wait. It appears when it is whole; what a killed process has left is removed by the next one. For
// reading only. `name` is what messages call the archive.
//
// Throws as unpack() does. Any thread.
std::filesystem::path unpacked_archive(const std::filesystem::path& path, const std::string& name,
                                       const std::filesystem::path& place,
                                       const UnpackedArchiveOptions& options);

// The folder `inner` of an unpacked archive; "" = all of it. Throws MisconfigurationException that
// names what there is instead.
std::filesystem::path folder_inside(const std::filesystem::path& unpacked, const std::string& inner,
                                    const std::string& name);

// The one folder in `folder`, if there is nothing beside it; else `folder`. (`tar czf photos.tar.gz
// photos` makes such archives.)
std::filesystem::path only_folder_in(const std::filesystem::path& folder);

}  // namespace lctl::archives
