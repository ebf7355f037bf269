#include "storage/blobs/chunk_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <system_error>
#include <utility>

#include "base/descriptor.h"
#include "base/id.h"
#include "storage/blobs/sha256.h"

namespace lctl::storage {
namespace {

namespace fs = std::filesystem;

constexpr char kIncoming[] = "incoming";
constexpr char kDamaged[] = ".damaged";

// Like errno_status(), but a file that may not grow is a full disk for our callers.
absl::Status io_error(int error, std::string_view what, const std::string& file) {
  const std::string text = fmt::format("{} {}", what, file);
  if (error == EFBIG) return absl::ResourceExhaustedError(fmt::format("{}: File too large", text));
  if (error == ENOSPC || error == EDQUOT) {
    return with_context(errno_status(error, text), "free space on the store's disk");
  }
  return errno_status(error, text);
}

absl::Status sync_folder(const fs::path& dir) {
  const Descriptor folder(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || fsync(folder.get()) != 0) return io_error(errno, "syncing", dir.string());
  return absl::OkStatus();
}

absl::Status make_folder(const fs::path& dir) {
  if (mkdir(dir.c_str(), 0755) != 0 && errno != EEXIST) {
    return io_error(errno, "making the folder", dir.string());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::int64_t>> size_of_file(const fs::path& file) {
  struct stat info = {};
  if (stat(file.c_str(), &info) == 0) return info.st_size;
  if (errno == ENOENT) return std::nullopt;
  return io_error(errno, "looking at", file.string());
}

std::optional<std::int64_t> free_on_disk(const fs::path& dir) {
  std::error_code error;
  const fs::space_info space = fs::space(dir, error);
  if (error) return std::nullopt;
  return static_cast<std::int64_t>(space.available);
}

timespec to_timespec(WallTime time) {
  const std::int64_t micros = unix_micros(time);
  return {.tv_sec = micros / 1'000'000, .tv_nsec = micros % 1'000'000 * 1'000};
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChunkFolder>> ChunkFolder::open(fs::path dir, const Clock& clock,
                                                               DiskSpace space) {
  LCTL_RETURN_IF_ERROR(make_folder(dir));
  LCTL_RETURN_IF_ERROR(make_folder(dir / kIncoming));
  LCTL_RETURN_IF_ERROR(sync_folder(dir));
  std::error_code error;
  for (const fs::directory_entry& left : fs::directory_iterator(dir / kIncoming, error)) {
    if (unlink(left.path().c_str()) != 0) {
      return io_error(errno, "deleting", left.path().string());
    }
  }
  if (error) return io_error(error.value(), "listing", (dir / kIncoming).string());
  return std::unique_ptr<ChunkFolder>(new ChunkFolder(std::move(dir), clock, std::move(space)));
}

absl::StatusOr<std::unique_ptr<const ChunkFolder>> ChunkFolder::open_existing(fs::path dir,
                                                                              const Clock& clock) {
  std::error_code error;
  if (!fs::is_directory(dir, error)) {
    return absl::NotFoundError(fmt::format("there is no folder of chunks {}", dir.string()));
  }
  return std::unique_ptr<const ChunkFolder>(new ChunkFolder(std::move(dir), clock, {}));
}

fs::path ChunkFolder::path_of(std::string_view sha256) const {
  const std::string hex = to_hex(sha256);
  return dir_ / hex.substr(0, 2) / hex.substr(2);
}

// A chunk's file until it has its name.
struct ChunkFolder::Incoming {
  Incoming(std::string file_name, std::string_view hash, Descriptor opened)
      : file(std::move(file_name)), sha256(hash), out(std::move(opened)) {}
  Incoming(Incoming&& other) noexcept
      : file(std::exchange(other.file, "")), sha256(other.sha256), out(std::move(other.out)) {}
  Incoming& operator=(Incoming&&) = delete;
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;
  ~Incoming() {
    if (!file.empty()) unlink(file.c_str());
  }

  std::string file;  // "" when it has its name
  std::string_view sha256;
  Descriptor out;  // its close() reports nothing after a successful fsync()
};

absl::StatusOr<bool> ChunkFolder::put(std::string_view sha256, std::string_view bytes) {
  const Chunk chunk{sha256, bytes};
  LCTL_ASSIGN_OR_RETURN(const std::int64_t stored, put_all({&chunk, 1}));
  return stored > 0;
}

absl::StatusOr<std::int64_t> ChunkFolder::put_all(std::span<const Chunk> chunks) {
  std::vector<Incoming> incoming;
  std::uint64_t bytes = 0;
  for (const Chunk& chunk : chunks) {
    LCTL_ASSIGN_OR_RETURN(const std::optional<std::int64_t> present, touch(chunk.sha256));
    // A file of another size is damaged: it is replaced.
    if (present == static_cast<std::int64_t>(chunk.bytes.size())) continue;
    LCTL_RETURN_IF_ERROR(check_space(chunk.bytes.size()));
    LCTL_ASSIGN_OR_RETURN(Incoming written, write(chunk));
    incoming.push_back(std::move(written));
    bytes += chunk.bytes.size();
  }
  for (const Incoming& each : incoming) {
    if (fsync(each.out.get()) != 0) return io_error(errno, "syncing", each.file);
  }
  std::set<fs::path> folders;
  for (Incoming& each : incoming) {
    LCTL_RETURN_IF_ERROR(publish(each));
    folders.insert(path_of(each.sha256).parent_path());
  }
  // The first one writes the journal of the file system, for the others there is little left to do.
  for (const fs::path& folder : folders) LCTL_RETURN_IF_ERROR(sync_folder(folder));
  bytes_written_.fetch_add(bytes, std::memory_order_relaxed);
  return static_cast<std::int64_t>(incoming.size());
}

absl::Status ChunkFolder::check_space(std::size_t size) {
  if (space_.reserve_bytes == 0) return absl::OkStatus();
  const std::optional<std::int64_t> free =
      space_.free_bytes ? space_.free_bytes() : free_on_disk(dir_);
  if (!free || *free - static_cast<std::int64_t>(size) >= space_.reserve_bytes) {
    return absl::OkStatus();
  }
  refused_.fetch_add(1, std::memory_order_relaxed);
  return absl::ResourceExhaustedError(fmt::format(
      "the store's disk has {} bytes free, of which the last {} are kept for the database: "
      "checkpoints wait on their nodes until there is more; free space on it (`lctl admin gc`, "
      "`lctl rm`)",
      *free, space_.reserve_bytes));
}

// On its way to the disk, not there yet.
absl::StatusOr<ChunkFolder::Incoming> ChunkFolder::write(const Chunk& chunk) const {
  const std::string file = (dir_ / kIncoming / random_id(16)).string();
  Descriptor out(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!out.valid()) return io_error(errno, "creating", file);
  Incoming incoming(file, chunk.sha256, std::move(out));
  const int descriptor = incoming.out.get();
  for (std::string_view bytes = chunk.bytes; !bytes.empty();) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return io_error(errno, "writing", file);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  const timespec now = to_timespec(clock_.wall_now());
  const timespec times[2] = {now, now};
  if (futimens(descriptor, times) != 0) return io_error(errno, "writing", file);
  // Where it cannot be done the sync has more to do.
  static_cast<void>(sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WRITE));
  return incoming;
}

// Its folder is to be synced then.
absl::Status ChunkFolder::publish(Incoming& incoming) const {
  const fs::path file = path_of(incoming.sha256);
  int error = rename(incoming.file.c_str(), file.c_str()) == 0 ? 0 : errno;
  if (error == ENOENT) {  // the first chunk of its folder
    LCTL_RETURN_IF_ERROR(make_folder(file.parent_path()));
    LCTL_RETURN_IF_ERROR(sync_folder(dir_));
    error = rename(incoming.file.c_str(), file.c_str()) == 0 ? 0 : errno;
  }
  if (error != 0) return io_error(error, "renaming into place", file.string());
  incoming.file.clear();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::int64_t>> ChunkFolder::size(std::string_view sha256) const {
  return size_of_file(path_of(sha256));
}

absl::StatusOr<std::optional<std::int64_t>> ChunkFolder::touch(std::string_view sha256) const {
  const fs::path file = path_of(sha256);
  const timespec now = to_timespec(clock_.wall_now());
  const timespec times[2] = {now, now};
  const std::lock_guard lock(mutex_);
  if (utimensat(AT_FDCWD, file.c_str(), times, 0) != 0) {
    if (errno == ENOENT) return std::nullopt;
    return io_error(errno, "touching", file.string());
  }
  return size_of_file(file);
}

absl::StatusOr<std::string> ChunkFolder::read(std::string_view sha256, std::int64_t size) const {
  const std::string file = path_of(sha256).string();
  const auto damaged = [&](std::string_view how) {
    return absl::DataLossError(fmt::format("chunk file {} {}", file, how));
  };
  const Descriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in.valid() && errno == ENOENT) return damaged("is missing");
  if (!in.valid()) return io_error(errno, "opening", file);
  std::string bytes(static_cast<std::size_t>(size) + 1, '\0');  // one more, to notice a longer file
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = ::read(in.get(), bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(errno, "reading", file);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  bytes.resize(filled);
  if (filled != static_cast<std::size_t>(size)) {
    return damaged(fmt::format("does not have its {} bytes", size));
  }
  if (sha256_of(bytes) != sha256) return damaged("does not match its SHA-256");
  return bytes;
}

absl::StatusOr<bool> ChunkFolder::put_aside_if_damaged(std::string_view sha256) {
  LCTL_ASSIGN_OR_RETURN(const std::optional<std::int64_t> bytes, size(sha256));
  if (!bytes || !absl::IsDataLoss(read(sha256, *bytes).status())) return false;
  const std::string file = path_of(sha256).string();
  if (rename(file.c_str(), (file + kDamaged).c_str()) != 0) {
    return io_error(errno, "putting aside", file);
  }
  return true;
}

absl::Status ChunkFolder::for_each(
    absl::FunctionRef<absl::Status(const std::string&, std::int64_t)> visit) const {
  std::error_code error;
  for (const std::string& prefix : folders()) {
    for (const fs::directory_entry& entry : fs::directory_iterator(dir_ / prefix, error)) {
      const std::string sha256 = parse_sha256(prefix + entry.path().filename().string());
      if (sha256.empty()) continue;  // not ours
      LCTL_ASSIGN_OR_RETURN(const std::optional<std::int64_t> bytes, size_of_file(entry.path()));
      if (bytes) LCTL_RETURN_IF_ERROR(visit(sha256, *bytes));
    }
    if (error) return io_error(error.value(), "listing", (dir_ / prefix).string());
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> ChunkFolder::is_older(std::string_view sha256, WallTime cutoff) const {
  const fs::path file = path_of(sha256);
  struct stat info = {};
  if (stat(file.c_str(), &info) != 0) {
    if (errno == ENOENT) return false;
    return io_error(errno, "looking at", file.string());
  }
  const timespec limit = to_timespec(cutoff);
  return std::pair(info.st_mtim.tv_sec, info.st_mtim.tv_nsec) <
         std::pair(limit.tv_sec, limit.tv_nsec);
}

absl::StatusOr<bool> ChunkFolder::remove_if_older(std::string_view sha256, WallTime cutoff) {
  const std::lock_guard lock(mutex_);
  if (holds_ > 0) return false;
  LCTL_ASSIGN_OR_RETURN(const bool older, is_older(sha256, cutoff));
  if (!older) return false;
  const fs::path file = path_of(sha256);
  if (unlink(file.c_str()) != 0) return io_error(errno, "deleting", file.string());
  return true;
}

ChunkFolder::Hold::Hold(ChunkFolder& folder) : folder_(folder) {
  const std::lock_guard lock(folder_.mutex_);
  ++folder_.holds_;
}

ChunkFolder::Hold::~Hold() {
  const std::lock_guard lock(folder_.mutex_);
  --folder_.holds_;
}

bool ChunkFolder::held() const {
  const std::lock_guard lock(mutex_);
  return holds_ > 0;
}

// False when the file systems or their rules allow no link.
absl::StatusOr<bool> ChunkFolder::link_from(const std::string& source,
                                            std::string_view sha256) const {
  const fs::path file = path_of(sha256);
  int error = link(source.c_str(), file.c_str()) == 0 ? 0 : errno;
  if (error == ENOENT && access(source.c_str(), F_OK) == 0) {
    // The first chunk of its folder.
    LCTL_RETURN_IF_ERROR(make_folder(file.parent_path()));
    error = link(source.c_str(), file.c_str()) == 0 ? 0 : errno;
  }
  switch (error) {
    case 0:
      return true;
    case EXDEV:  // another file system
    case EPERM:  // a file system without links, or a file of another user
    case EACCES:
    case EOPNOTSUPP:
    case EMLINK:
      return false;
    default:
      return io_error(error, "linking " + source + " to", file.string());
  }
}

absl::StatusOr<ChunkFolder::Taken> ChunkFolder::take_from(const ChunkFolder& other,
                                                          std::string_view sha256,
                                                          std::int64_t size) {
  LCTL_ASSIGN_OR_RETURN(const std::optional<std::int64_t> present, this->size(sha256));
  if (present == size) return Taken::kThere;
  if (present && unlink(path_of(sha256).c_str()) != 0) {
    return io_error(errno, "deleting the damaged", path_of(sha256).string());
  }
  LCTL_ASSIGN_OR_RETURN(const std::optional<std::int64_t> there, other.size(sha256));
  const std::string source = other.path_of(sha256).string();
  if (there != size) {
    return absl::DataLossError(
        fmt::format("chunk file {} {}", source,
                    there ? fmt::format("does not have its {} bytes", size) : "is missing"));
  }
  LCTL_ASSIGN_OR_RETURN(const bool linked, link_from(source, sha256));
  if (linked) return Taken::kLinked;
  LCTL_ASSIGN_OR_RETURN(const std::string bytes, other.read(sha256, size));
  LCTL_RETURN_IF_ERROR(put(sha256, bytes).status());
  return Taken::kCopied;
}

absl::Status ChunkFolder::sync() const {
  for (const std::string& folder : folders()) {
    LCTL_RETURN_IF_ERROR(sync_folder(dir_ / folder));
  }
  return sync_folder(dir_);
}

absl::StatusOr<std::int64_t> ChunkFolder::count_damaged() const {
  std::int64_t count = 0;
  std::error_code error;
  for (const std::string& folder : folders()) {
    for (const fs::directory_entry& entry : fs::directory_iterator(dir_ / folder, error)) {
      if (entry.path().extension() == kDamaged) ++count;
    }
    if (error) return io_error(error.value(), "listing", (dir_ / folder).string());
  }
  return count;
}

// The names of those of the 256 folders that are there.
std::vector<std::string> ChunkFolder::folders() const {
  std::vector<std::string> names;
  for (int first = 0; first < 256; ++first) {
    const char byte = static_cast<char>(first);
    std::string name = to_hex({&byte, 1});
    std::error_code ignored;
    if (fs::is_directory(dir_ / name, ignored)) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace lctl::storage
