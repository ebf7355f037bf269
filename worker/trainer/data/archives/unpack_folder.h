// The folder that an archive is unpacked into.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/descriptor.h"

namespace lctl::archives {

// Makes what members say, by paths from member_path(). No link is followed, so that nothing is made
// elsewhere, whatever links the archive has brought before. A member replaces an earlier one of its
// name, as tar does it, but no folder. Modes are 0644 and 0755 whatever the umask: other users'
// jobs read it too. All throw std::system_error; nothing is synced. Thread rule: caller locks.
class UnpackFolder {
 public:
  using Path = std::vector<std::string>;

  explicit UnpackFolder(Descriptor root) : root_(std::move(root)) {}

  void make_folder(const Path& path);
  Descriptor make_file(const Path& path);
  void make_symbolic_link(const Path& path, const std::string& target);
  // To a regular file that was made before.
  void make_hard_link(const Path& path, const Path& target);

 private:
  // The folder of the last part. Valid until the next call.
  int parent_of(const Path& path);
  Descriptor walk(const Path& folders, bool make);
  static void make_way(int parent, const std::string& name);

  Descriptor root_;
  Path last_path_;  // members of a folder come one after another
  Descriptor last_;
};

}  // namespace lctl::archives
