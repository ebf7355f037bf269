#include "worker/trainer/data/archives/unpack.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/descriptor.h"
#include "worker/trainer/data/archives/archive.h"
#include "worker/trainer/data/archives/inflated_tar.h"
#include "worker/trainer/data/archives/member_path.h"
#include "worker/trainer/data/archives/unpack_folder.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/fetch/download.h"
#include "worker/trainer/data/fetch/durable_file.h"
#include "worker/trainer/data/fetch/fetch_error.h"
#include "worker/trainer/data/webdataset/member_name.h"

namespace lctl::archives {
namespace {

using Kind = ArchiveMember::Kind;

// Space is given back in steps of so much: each is a call to the kernel.
constexpr std::uint64_t kGiveBack = std::uint64_t{16} << 20;
constexpr std::uint64_t kMost = UINT64_MAX / 4;  // bytes: more than any disk has
constexpr std::uint64_t kStopEvery = 64;         // members
constexpr std::uint64_t kBlock = 4096;           // of which a file takes up whole ones

bool is_disk_full(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG; }

class Unpacking {
 public:
  Unpacking(const std::string& name, const UnpackOptions& options)
      : name_(name), options_(options) {}

  // What is in it, if all of it may be unpacked.
  Unpacked look_through(Archive& archive) {
    Unpacked found;
    std::uint64_t members = 0;
    while (const auto member = archive.next()) {
      if (++members > options_.most_members)
        throw BadSample(fmt::format("{}: has more than {} members, which is too many to unpack",
                                    name_, options_.most_members));
      if (members % kStopEvery == 0) stop_if_asked();
      check(*member);
      if (member->kind != Kind::kFile) continue;
      ++found.files;
      // What does not fit the sum does not fit the disk, whichever it is.
      found.bytes = std::min(found.bytes, kMost) + std::min(member->size, kMost);
    }
    return found;
  }

  void check_space(const Descriptor& folder, std::uint64_t needed) const {
    struct statvfs status = {};
    if (fstatvfs(folder.get(), &status) != 0) return;
    const std::uint64_t left = static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
    if (needed <= left) return;
    throw FetchError(
        FetchErrorKind::kDiskFull, false,
        fmt::format("{}: unpacked, it takes {}, but the cache's disk has only {} left; "
                    "make room, or let LCTL_DATA_CACHE name a folder on another disk",
                    name_, megabytes(needed), megabytes(left)));
  }

  // `behind` is told how far the archive has been read, now and then.
  void make_all(Archive& archive, UnpackFolder& folder,
                const std::function<void(const ArchiveMember&)>& behind) {
    std::uint64_t members = 0;
    while (const auto member = archive.next()) {
      if (++members % kStopEvery == 0) stop_if_asked();
      try {
        make(archive, *member, folder);
      } catch (const std::system_error& error) {
        if (is_disk_full(error.code().value()))
          throw FetchError(FetchErrorKind::kDiskFull, false,
                           fmt::format("{}: the cache's disk is full at member '{}' ({}); make "
                                       "room, or let LCTL_DATA_CACHE name a folder on another disk",
                                       name_, webdataset::shown(member->name), error.what()));
        throw_about(*member, error);
      }
      if (behind) behind(*member);
    }
  }

  void stop_if_asked() const {
    if (options_.stopped && options_.stopped())
      throw FetchError(FetchErrorKind::kCancelled, false,
                       fmt::format("{}: stopped while it was unpacked", name_));
  }

 private:
  void check(const ArchiveMember& member) const {
    try {
      const std::vector<std::string> path = member_path(member.name);
      if (path.empty() && member.kind != Kind::kFolder) throw BadSample("has no name");
      if (member.kind == Kind::kDevice) throw BadSample("is a device or a pipe");
      if (member.kind == Kind::kHardLink && member_path(member.target).empty())
        throw BadSample("is a link to a folder");
      if (member.kind == Kind::kSymbolicLink) check_link_target(member.target, path.size() - 1);
    } catch (const BadSample& error) {
      throw BadSample(
          fmt::format("{}: member '{}' {}", name_, webdataset::shown(member.name), error.what()));
    }
  }

  void make(Archive& archive, const ArchiveMember& member, UnpackFolder& folder) {
    const std::vector<std::string> path = member_path(member.name);
    switch (member.kind) {
      case Kind::kFile: {
        const Descriptor file = folder.make_file(path);
        archive.read([&](std::string_view bytes) {
          stop_if_asked();
          write_all(file.get(), bytes, "the file");
        });
        break;
      }
      case Kind::kFolder:
        folder.make_folder(path);
        break;
      case Kind::kSymbolicLink:
        folder.make_symbolic_link(path, member.target);
        break;
      case Kind::kHardLink:
        folder.make_hard_link(path, member_path(member.target));
        break;
      case Kind::kDevice:
        break;  // refused before
    }
  }

  // What the members are to each other (a file in the place of a folder) is the archive's fault.
  [[noreturn]] void throw_about(const ArchiveMember& member, const std::system_error& error) const {
    const std::string text = fmt::format("{}: member '{}' cannot be unpacked: {}", name_,
                                         webdataset::shown(member.name), error.what());
    switch (error.code().value()) {
      case EEXIST:
      case EISDIR:
      case ELOOP:
      case EINVAL:
      case ENOENT:
      case ENOTDIR:
        throw BadSample(text);
      default:
        throw std::runtime_error(text);
    }
  }

  const std::string& name_;
  const UnpackOptions& options_;
};

}  // namespace

Unpacked unpack(const std::string& path, const std::string& name,
                const std::filesystem::path& folder, const UnpackOptions& options) {
  Descriptor root(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root.valid()) throw_errno("folder " + folder.string());
  Unpacking unpacking(name, options);
  std::optional<InflatedTar> inflated;
  std::unique_ptr<Archive> archive;
  switch (archive_form(path, name)) {
    case ArchiveForm::kZip:
      archive = open_zip(path, name);
      break;
    case ArchiveForm::kTar:
      archive = open_tar(path, name);
      break;
    case ArchiveForm::kGzip:
      inflated.emplace(path, name, root.get(), options);
      archive = open_tar(inflated->path(), name);
      break;
  }
  Unpacked found = unpacking.look_through(*archive);
  // What a gzipped tar was inflated to is on the disk, and is exchanged for the members.
  const std::uint64_t there = inflated ? inflated->size() : 0;
  found.space = found.bytes + found.files * kBlock;
  const std::uint64_t needed = found.space > there ? found.space - there : 0;
  if (options.make_room) options.make_room(std::max(found.space, there));
  unpacking.check_space(root, needed);
  archive->rewind();
  std::uint64_t read = 0;
  UnpackFolder into(std::move(root));
  unpacking.make_all(*archive, into, [&](const ArchiveMember& member) {
    read += member.size;
    if (inflated && read >= kGiveBack) {
      inflated->give_back(read);
      read = 0;
    }
  });
  return found;
}

}  // namespace lctl::archives
