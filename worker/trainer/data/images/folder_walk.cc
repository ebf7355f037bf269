#include "worker/trainer/data/images/folder_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>

namespace lctl {
namespace {

struct Close {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

// A folder that has been read.
struct Listing {
  std::string path;  // from the root
  std::vector<std::string> files;
};

// One folder above the one that is read, to find links that lead back.
struct Place {
  dev_t device;
  ino_t inode;
};

[[noreturn]] void cannot_read(const std::string& path) {
  throw std::runtime_error(
      fmt::format("{}: the folder cannot be read: {}", path, std::strerror(errno)));
}

bool is_folder(const dirent& entry, int folder) {
  if (entry.d_type == DT_DIR) return true;
  if (entry.d_type != DT_LNK && entry.d_type != DT_UNKNOWN) return false;
  struct stat status = {};
  return ::fstatat(folder, entry.d_name, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

bool is_dots(const char* name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

template <typename Visit>
void for_each_entry(const std::string& path, const Visit& visit) {
  const std::unique_ptr<DIR, Close> folder(::opendir(path.c_str()));
  if (folder == nullptr) cannot_read(path);
  errno = 0;
  while (const dirent* entry = ::readdir(folder.get())) {
    if (!is_dots(entry->d_name)) visit(*entry, is_folder(*entry, ::dirfd(folder.get())));
    errno = 0;
  }
  if (errno != 0) cannot_read(path);
}

Place place_of(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) cannot_read(path);
  return {status.st_dev, status.st_ino};
}

void walk(const std::string& root, const std::string& path, std::vector<Place>& above,
          std::vector<Listing>& listings) {
  const std::string whole = root + "/" + path;
  const Place here = place_of(whole);
  for (const Place& place : above) {
    if (place.device == here.device && place.inode == here.inode) {
      throw std::runtime_error(
          fmt::format("{}: is a link to a folder that it lies in: remove the link", whole));
    }
  }
  Listing listing{path, {}};
  std::vector<std::string> folders;
  for_each_entry(whole, [&](const dirent& entry, bool folder) {
    (folder ? folders : listing.files).emplace_back(entry.d_name);
  });
  std::sort(listing.files.begin(), listing.files.end());
  listings.push_back(std::move(listing));
  above.push_back(here);
  for (const std::string& folder : folders) walk(root, path + "/" + folder, above, listings);
  above.pop_back();
}

}  // namespace

void NameList::add(std::string_view folder, std::string_view name) {
  characters_.append(folder).append("/").append(name);
  ends_.push_back(characters_.size());
}

void NameList::shrink_to_fit() {
  characters_.shrink_to_fit();
  ends_.shrink_to_fit();
}

std::vector<std::string> subfolders(const std::string& root) {
  std::vector<std::string> names;
  for_each_entry(root, [&](const dirent& entry, bool folder) {
    if (folder) names.emplace_back(entry.d_name);
  });
  std::sort(names.begin(), names.end());
  return names;
}

void walk_files(const std::string& root, const std::string& folder, NameList& files) {
  std::vector<Place> above = {place_of(root)};
  std::vector<Listing> listings;
  walk(root, folder, above, listings);
  std::sort(listings.begin(), listings.end(),
            [](const Listing& a, const Listing& b) { return a.path < b.path; });
  for (const Listing& listing : listings) {
    for (const std::string& name : listing.files) files.add(listing.path, name);
  }
}

}  // namespace lctl
