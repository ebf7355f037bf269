#include "storage/backup/backup_folder.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "base/descriptor.h"
#include "storage/blobs/sha256.h"

namespace lctl::storage {
namespace {

namespace fs = std::filesystem;

constexpr char kIncomplete[] = ".incomplete";

absl::Status sync_path(const fs::path& path) {
  const Descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened.valid() || fsync(opened.get()) != 0) {
    return errno_status(errno, fmt::format("syncing {}", path.string()));
  }
  return absl::OkStatus();
}

absl::Status write_text(const fs::path& file, std::string_view text) {
  const Descriptor out(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!out.valid()) return errno_status(errno, fmt::format("creating {}", file.string()));
  while (!text.empty()) {
    const ssize_t written = ::write(out.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno_status(errno, fmt::format("writing {}", file.string()));
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fsync(out.get()) != 0) return errno_status(errno, fmt::format("syncing {}", file.string()));
  return absl::OkStatus();
}

absl::Status remove_tree(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (!error) return absl::OkStatus();
  return errno_status(error.value(), fmt::format("deleting {}", folder.string()));
}

// Of names like 20260131T140509Z and 20260131T140509Z-2.
bool is_backup_name(std::string_view name) {
  if (name.size() < 16 || name[8] != 'T' || name[15] != 'Z') return false;
  return name.size() == 16 || name[16] == '-' || name[16] == '.';
}

// Folders directly below `dir` for whose names `fits` holds, sorted.
template <typename Fits>
absl::StatusOr<std::vector<std::string>> folders_in(const fs::path& dir, Fits fits) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entries(dir, error);
  if (error) return errno_status(error.value(), fmt::format("listing {}", dir.string()));
  for (const fs::directory_entry& entry : entries) {
    std::string name = entry.path().filename().string();
    std::error_code ignored;
    if (entry.is_directory(ignored) && fits(name)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::string new_backup_name(const fs::path& dir, WallTime now) {
  const std::string base = fmt::format(
      "{:%Y%m%dT%H%M%SZ}", fmt::gmtime(static_cast<std::time_t>(unix_micros(now) / 1'000'000)));
  std::string name = base;
  std::error_code ignored;
  for (int number = 2; fs::exists(dir / name, ignored); ++number) {
    name = fmt::format("{}-{}", base, number);
  }
  return name;
}

absl::StatusOr<std::vector<std::string>> list_backups(const fs::path& dir) {
  return folders_in(dir, [](const std::string& name) {
    return is_backup_name(name) && !name.ends_with(kIncomplete);
  });
}

absl::Status remove_incomplete(const fs::path& dir) {
  LCTL_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                        folders_in(dir, [](const std::string& name) {
                          return is_backup_name(name) && name.ends_with(kIncomplete);
                        }));
  for (const std::string& name : names) LCTL_RETURN_IF_ERROR(remove_tree(dir / name));
  return absl::OkStatus();
}

absl::StatusOr<fs::path> make_incomplete(const fs::path& dir, std::string_view name) {
  const fs::path folder = dir / (std::string(name) + kIncomplete);
  if (mkdir(folder.c_str(), 0755) != 0) {
    return errno_status(errno, fmt::format("making the folder {}", folder.string()));
  }
  return folder;
}

absl::Status complete(const fs::path& incomplete, const BackupManifest& manifest) {
  LCTL_RETURN_IF_ERROR(write_text(incomplete / kBackupManifest, to_json(manifest)));
  LCTL_RETURN_IF_ERROR(sync_path(incomplete));
  fs::path whole = incomplete;
  whole.replace_extension();
  if (rename(incomplete.c_str(), whole.c_str()) != 0) {
    return errno_status(errno,
                        fmt::format("renaming {} to {}", incomplete.string(), whole.string()));
  }
  return sync_path(whole.parent_path());
}

absl::Status remove_backup(const fs::path& dir, std::string_view name) {
  const fs::path whole = dir / name;
  const fs::path going = dir / (std::string(name) + kIncomplete);
  if (rename(whole.c_str(), going.c_str()) != 0) {
    return errno_status(errno, fmt::format("renaming {} to {}", whole.string(), going.string()));
  }
  return remove_tree(going);
}

absl::StatusOr<BackupManifest> read_manifest(const fs::path& backup) {
  const fs::path file = backup / kBackupManifest;
  const Descriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in.valid()) return errno_status(errno, fmt::format("opening {}", file.string()));
  std::string text(kMaxManifestBytes + 1, '\0');  // one more, to notice a longer file
  std::size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t got = ::read(in.get(), text.data() + filled, text.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_status(errno, fmt::format("reading {}", file.string()));
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  text.resize(filled);
  absl::StatusOr<BackupManifest> manifest = parse_backup_manifest(text);
  if (!manifest.ok()) return with_context(manifest.status(), backup.string());
  return manifest;
}

absl::StatusOr<std::string> hash_file(const fs::path& file) {
  const Descriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in.valid()) return errno_status(errno, fmt::format("opening {}", file.string()));
  Sha256 hash;
  std::string buffer(1 << 20, '\0');
  while (true) {
    const ssize_t got = ::read(in.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_status(errno, fmt::format("reading {}", file.string()));
    if (got == 0) return to_hex(hash.finish());
    hash.update(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
  }
}

}  // namespace lctl::storage
