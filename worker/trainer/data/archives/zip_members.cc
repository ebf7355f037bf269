// ZIP archives, by the reader that .npz files have.
#include <fmt/format.h>
#include <sys/stat.h>
#include <zlib.h>

#include <utility>

#include "worker/trainer/data/archives/archive.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/formats/inflate.h"
#include "worker/trainer/data/formats/shared_bytes.h"
#include "worker/trainer/data/formats/zip_archive.h"

namespace lctl::archives {
namespace {

constexpr std::uint64_t kLongestTarget = 4096;
constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;

class ZipMembers final : public Archive {
 public:
  ZipMembers(const std::string& path, std::string name)
      : name_(std::move(name)), bytes_(named(SharedBytes::map(path), name_)), zip_(bytes_) {}

  std::optional<ArchiveMember> next() override {
    if (at_ == zip_.members().size()) return std::nullopt;
    const ZipMember& zipped = zip_.members()[at_++];
    ArchiveMember member{zipped.name, ArchiveMember::Kind::kFile, zipped.size, ""};
    const mode_t type = zipped.mode & S_IFMT;
    if (zipped.name.ends_with('/') || type == S_IFDIR) {
      member.kind = ArchiveMember::Kind::kFolder;
      member.size = 0;
    } else if (type == S_IFLNK) {
      member.kind = ArchiveMember::Kind::kSymbolicLink;
      member.size = 0;
      if (zipped.size > kLongestTarget)
        throw BadSample(fmt::format("{}: member {:?} is a link with a target of {} bytes", name_,
                                    zipped.name.substr(0, 200), zipped.size));
      member.target = zip_.read(zipped).view();
    } else if (type != 0 && type != S_IFREG) {
      member.kind = ArchiveMember::Kind::kDevice;
    }
    return member;
  }

  void read(const TakeBytes& take) override {
    const ZipMember& member = zip_.members()[at_ - 1];
    const SharedBytes packed = bytes_.part(member.data_offset, member.packed_size,
                                           fmt::format("{}: {}", name_, member.name));
    if (member.deflated) {
      inflate_in_pieces(packed, member.size, member.crc32, take);
    } else {
      read_stored(packed, member.crc32, take);
    }
  }

  void rewind() override { at_ = 0; }

 private:
  // A mapping is called by its path.
  static SharedBytes named(const SharedBytes& mapping, const std::string& name) {
    return mapping.part(0, mapping.size(), name);
  }

  static void read_stored(const SharedBytes& bytes, std::uint32_t crc32, const TakeBytes& take) {
    uLong actual = 0;
    for (std::uint64_t done = 0; done < bytes.size(); done += kPiece) {
      const std::string_view piece = bytes.view().substr(done, kPiece);
      actual = crc32_z(actual, reinterpret_cast<const Bytef*>(piece.data()), piece.size());
      take(piece);
    }
    if (actual != crc32)
      throw BadSample(
          fmt::format("{}: is damaged: its checksum (CRC-32) is another", bytes.name()));
  }

  std::string name_;
  SharedBytes bytes_;
  ZipArchive zip_;
  std::size_t at_ = 0;  // of the next member
};

}  // namespace

std::unique_ptr<Archive> open_zip(const std::string& path, const std::string& name) {
  return std::make_unique<ZipMembers>(path, name);
}

}  // namespace lctl::archives
