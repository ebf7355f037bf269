// Which files lie below the class folders of an image folder, in Python's order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lctl {

// Names in one piece of memory: a data set has a million of them. Thread rule: caller locks;
// readers may share it.
class NameList {
 public:
  std::size_t size() const { return ends_.size(); }
  std::string_view operator[](std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(characters_).substr(begin, ends_[index] - begin);
  }
  void add(std::string_view folder, std::string_view name);  // as "folder/name"
  void shrink_to_fit();

 private:
  std::string characters_;
  std::vector<std::size_t> ends_;
};

// Names of the folders in `root`, links to folders too, sorted by their bytes. Throws
// std::runtime_error with the path when it cannot be read.
std::vector<std::string> subfolders(const std::string& root);

// Adds the files below root/folder, as paths from `root`, to `files`. The order is that of
// sorted(os.walk(folder, followlinks=True)): folders by their path, in each the files by name.
// Costs one call of the system for each file at most where the file system tells files from
// folders. Throws std::runtime_error for a folder that cannot be read, and for a link to a folder
// that it lies in.
void walk_files(const std::string& root, const std::string& folder, NameList& files);

}  // namespace lctl
