#include "worker/trainer/data/archives/unpack_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "worker/trainer/data/fetch/durable_file.h"

namespace lctl::archives {
namespace {

constexpr mode_t kFileMode = 0644;
constexpr mode_t kFolderMode = 0755;

Descriptor copy_of(const Descriptor& folder) {
  Descriptor copy(fcntl(folder.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) throw_errno("opening a folder again");
  return copy;
}

}  // namespace

Descriptor UnpackFolder::walk(const Path& folders, bool make) {
  Descriptor at = copy_of(root_);
  for (const std::string& name : folders) {
    // Without the syncs of fetch's make_folder(): all is synced once, at the end.
    const bool made = make && mkdirat(at.get(), name.c_str(), kFolderMode) == 0;
    if (make && !made && errno != EEXIST) throw_errno("making the folder " + name);
    Descriptor next = open_folder(at.get(), name);
    if (!next.valid()) throw_errno("folder " + name);
    if (made && fchmod(next.get(), kFolderMode) != 0) throw_errno("mode of the folder " + name);
    at = std::move(next);
  }
  return at;
}

int UnpackFolder::parent_of(const Path& path) {
  Path folders(path.begin(), path.end() - 1);
  if (!last_.valid() || folders != last_path_) {
    last_ = walk(folders, /*make=*/true);
    last_path_ = std::move(folders);
  }
  return last_.get();
}

// An earlier member of that name goes; a folder stays, and making the new one fails.
void UnpackFolder::make_way(int parent, const std::string& name) {
  if (unlinkat(parent, name.c_str(), 0) != 0 && errno != ENOENT && errno != EISDIR &&
      errno != EPERM)
    throw_errno("replacing an earlier member");
}

void UnpackFolder::make_folder(const Path& path) { walk(path, /*make=*/true); }

Descriptor UnpackFolder::make_file(const Path& path) {
  const int parent = parent_of(path);
  const std::string& name = path.back();
  const auto open = [&] {
    return Descriptor(openat(parent, name.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode));
  };
  Descriptor file = open();
  if (!file.valid() && errno == EEXIST) {
    make_way(parent, name);
    file = open();
  }
  if (!file.valid()) throw_errno("making the file");
  if (fchmod(file.get(), kFileMode) != 0) throw_errno("mode of the file");
  return file;
}

void UnpackFolder::make_symbolic_link(const Path& path, const std::string& target) {
  const int parent = parent_of(path);
  make_way(parent, path.back());
  if (symlinkat(target.c_str(), parent, path.back().c_str()) != 0) throw_errno("making the link");
}

void UnpackFolder::make_hard_link(const Path& path, const Path& target) {
  if (path == target) return;
  const Descriptor from = walk(Path(target.begin(), target.end() - 1), /*make=*/false);
  struct stat status = {};
  if (fstatat(from.get(), target.back().c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    throw_errno("the file that it links to");
  if (!S_ISREG(status.st_mode)) {
    errno = EINVAL;
    throw_errno("what it links to is no file");
  }
  const int parent = parent_of(path);
  make_way(parent, path.back());
  if (linkat(from.get(), target.back().c_str(), parent, path.back().c_str(), 0) != 0)
    throw_errno("making the link");
}

}  // namespace lctl::archives
