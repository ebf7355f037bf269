#include "worker/trainer/data/fetch/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/id.h"

namespace lctl {
namespace {

constexpr mode_t kFileMode = 0644;
constexpr mode_t kFolderMode = 0755;

}  // namespace

void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

Descriptor open_folder(int parent, const std::string& name) {
  Descriptor folder(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid() && errno != ENOENT) throw_errno("folder " + name);
  return folder;
}

Descriptor make_folder(int parent, const std::string& name) {
  if (Descriptor folder = open_folder(parent, name); folder.valid()) return folder;
  const bool made = mkdirat(parent, name.c_str(), kFolderMode) == 0;
  if (!made && errno != EEXIST) throw_errno("making the folder " + name);
  Descriptor folder = open_folder(parent, name);
  if (!folder.valid()) throw_errno("folder " + name);
  if (made) {
    if (fchmod(folder.get(), kFolderMode) != 0) throw_errno("mode of the folder " + name);
    sync_file(parent, "the folder of " + name);
  }
  return folder;
}

std::optional<std::string> read_small_file(int folder, const std::string& name, std::size_t limit) {
  // Not blocking: a pipe of that name must not hold us.
  const Descriptor file(
      openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid()) {
    if (errno == ENOENT || errno == ELOOP || errno == ENXIO) return std::nullopt;
    throw_errno("opening " + name);
  }
  struct stat status = {};
  if (fstat(file.get(), &status) != 0) throw_errno("looking at " + name);
  if (!S_ISREG(status.st_mode) || static_cast<std::size_t>(status.st_size) > limit)
    return std::nullopt;
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t got = read(file.get(), text.data() + done, text.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("reading " + name);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  text.resize(done);
  return text;
}

void write_durably(int folder, const std::string& name, std::string_view text) {
  const std::string temporary = "." + name + "." + random_id(8) + ".tmp";
  const Descriptor file(openat(folder, temporary.c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode));
  if (!file.valid()) throw_errno("making " + temporary);
  try {
    if (fchmod(file.get(), kFileMode) != 0) throw_errno("mode of " + temporary);
    write_all(file.get(), text, temporary);
    sync_file(file.get(), temporary);
    if (renameat(folder, temporary.c_str(), folder, name.c_str()) != 0)
      throw_errno("renaming " + temporary);
  } catch (const std::system_error&) {
    unlinkat(folder, temporary.c_str(), 0);
    throw;
  }
  sync_file(folder, "the folder of " + name);
}

void remove_file(int folder, const std::string& name) {
  if (unlinkat(folder, name.c_str(), 0) != 0 && errno != ENOENT) throw_errno("removing " + name);
}

void write_all(int fd, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_errno("writing " + name);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void sync_file(int fd, const std::string& name) {
  // EINVAL: a file system that has nothing to sync.
  if (fsync(fd) != 0 && errno != EINVAL) throw_errno("syncing " + name);
}

}  // namespace lctl
