#include "worker/trainer/data/fetch/ready_marker.h"

#include <fcntl.h>
#include <fmt/format.h>

#include "base/check.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/data/fetch/durable_file.h"
#include "worker/trainer/data/fetch/file_lock.h"

namespace lctl {
namespace {

constexpr char kMarker[] = ".lctl-ready";
constexpr char kLock[] = ".lctl-ready.lock";
constexpr std::size_t kMaxVersion = std::size_t{64} << 10;

}  // namespace

bool once_per_node(const std::filesystem::path& folder, const std::string& version,
                   const std::function<void()>& work, const OncePerNodeOptions& options) {
  LCTL_CHECK(version.size() <= kMaxVersion, "versions are short texts");
  std::error_code ignored;  // opening it tells
  std::filesystem::create_directories(folder, ignored);
  const Descriptor open(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!open.valid()) throw_errno("folder " + folder.string());

  const auto ready = [&] { return read_small_file(open.get(), kMarker, kMaxVersion) == version; };
  // Without the lock first: the folder may be one that this process cannot write.
  if (ready()) return false;
  const FileLock lock(open.get(), kLock,
                      {options.stopped, options.say ? options.say : console::info_of_rank,
                       options.what.empty() ? "prepares " + folder.string() : options.what});
  if (ready()) return false;
  remove_file(open.get(), kMarker);
  sync_file(open.get(), folder.string());
  work();
  // The marker must not outlive a power failure that the work's files do not.
  if (syncfs(open.get()) != 0) throw_errno("syncing " + folder.string());
  write_durably(open.get(), kMarker, version);
  return true;
}

}  // namespace lctl
