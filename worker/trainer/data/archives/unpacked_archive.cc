#include "worker/trainer/data/archives/unpacked_archive.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <system_error>
#include <vector>

#include "base/clock.h"
#include "worker/trainer/data/archives/member_path.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/fetch/cache_bound.h"
#include "worker/trainer/data/fetch/download.h"
#include "worker/trainer/data/fetch/fetch_error.h"
#include "worker/trainer/data/fetch/ready_marker.h"

namespace lctl::archives {
namespace {

namespace fs = std::filesystem;

// To be changed with anything that makes other files of the same archive.
constexpr char kVersion[] = "unpacked 1";
constexpr std::size_t kNamedFolders = 5;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    names.push_back(entry->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void unpack_whole(const fs::path& path, const std::string& name, const fs::path& whole,
                  const fs::path& part, const UnpackedArchiveOptions& options) {
  const fs::path note = whole.parent_path() / kSizeNote;
  fs::remove(note);
  fs::remove_all(part);
  fs::remove_all(whole);
  fs::create_directory(part);
  fs::permissions(part, fs::perms(0755));
  if (options.say)
    options.say(fmt::format("unpacking {} ({}) to {}", name, megabytes(fs::file_size(path)),
                            whole.string()));
  const MonotonicTime began = system_clock().monotonic_now();
  Unpacked found;
  try {
    found = unpack(path.string(), name, part, options.unpack);
  } catch (...) {
    std::error_code ignored;  // the error that is on its way is the one to tell
    fs::remove_all(part, ignored);
    throw;
  }
  std::ofstream(note) << found.space;
  fs::rename(part, whole);
  if (!options.say) return;
  const std::chrono::duration<double> took = system_clock().monotonic_now() - began;
  options.say(fmt::format("unpacked {}: {} files, {}, in {:.1f} s", name, found.files,
                          megabytes(found.bytes), took.count()));
}

}  // namespace

fs::path unpacked_archive(const fs::path& path, const std::string& name, const fs::path& place,
                          const UnpackedArchiveOptions& options) {
  fs::path whole = place / "files";
  OncePerNodeOptions once;
  once.stopped = options.unpack.stopped;
  once.say = options.say;
  once.what = "unpacks " + name;
  try {
    once_per_node(
        place, kVersion, [&] { unpack_whole(path, name, whole, place / "unfinished", options); },
        once);
  } catch (const std::system_error& error) {
    throw FetchError(
        FetchErrorKind::kCache, false,
        fmt::format("{}: it cannot be unpacked: {}; let LCTL_DATA_CACHE name a folder that can be "
                    "written",
                    name, error.what()));
  }
  return whole;
}

fs::path folder_inside(const fs::path& unpacked, const std::string& inner,
                       const std::string& name) {
  fs::path at = unpacked;
  std::vector<std::string> parts;
  try {
    parts = member_path(inner);
  } catch (const BadSample& error) {
    throw MisconfigurationException(
        fmt::format("{}: the folder '{}' of the archive {}", name, inner, error.what()));
  }
  for (const std::string& part : parts) {
    std::error_code error;
    if (!fs::is_directory(at / part, error)) {
      std::vector<std::string> there = names_in(at);
      if (there.size() > kNamedFolders) {
        there.resize(kNamedFolders);
        there.emplace_back("…");
      }
      throw MisconfigurationException(
          fmt::format("{}: the archive has no folder '{}'; instead of '{}' there are: {}", name,
                      inner, part, fmt::join(there, ", ")));
    }
    at /= part;
  }
  return at;
}

fs::path only_folder_in(const fs::path& folder) {
  const std::vector<std::string> names = names_in(folder);
  std::error_code error;
  return names.size() == 1 && fs::is_directory(folder / names[0], error) ? folder / names[0]
                                                                         : folder;
}

}  // namespace lctl::archives
