#include "worker/trainer/data/formats/zip_archive.h"

#include <fmt/format.h>
#include <minizip/unzip.h>

#include <cstring>
#include <memory>
#include <unordered_map>
#include <utility>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/formats/inflate.h"

namespace lctl {
namespace {

constexpr std::size_t kMaxName = 65535;  // its length has 16 bits
constexpr std::uint64_t kEncrypted = 1;  // general purpose flag
constexpr std::uint64_t kDeflate = 8;
constexpr std::uint64_t kUnix = 3;  // of "version made by": whose attributes a member has

// minizip's file functions, over bytes in memory.
struct ByteCursor {
  std::string_view bytes;
  std::uint64_t at = 0;
};

ByteCursor& cursor(voidpf stream) { return *static_cast<ByteCursor*>(stream); }

voidpf open_bytes(voidpf opaque, const void* /*name*/, int /*mode*/) { return opaque; }

uLong read_bytes(voidpf /*opaque*/, voidpf stream, void* to, uLong size) {
  ByteCursor& from = cursor(stream);
  const std::string_view got = from.bytes.substr(from.at, size);
  if (!got.empty()) std::memcpy(to, got.data(), got.size());
  from.at += got.size();
  return got.size();
}

ZPOS64_T tell_bytes(voidpf /*opaque*/, voidpf stream) { return cursor(stream).at; }

long seek_bytes(voidpf /*opaque*/, voidpf stream, ZPOS64_T offset, int origin) {
  ByteCursor& of = cursor(stream);
  const std::uint64_t base = origin == ZLIB_FILEFUNC_SEEK_CUR   ? of.at
                             : origin == ZLIB_FILEFUNC_SEEK_END ? of.bytes.size()
                                                                : 0;
  const std::uint64_t target = base + offset;  // wraps for steps back, as it shall
  if (target > of.bytes.size()) return -1;
  of.at = target;
  return 0;
}

int close_bytes(voidpf /*opaque*/, voidpf /*stream*/) { return 0; }
int no_error(voidpf /*opaque*/, voidpf /*stream*/) { return 0; }

// The members, one after another.
class Directory {
 public:
  explicit Directory(const SharedBytes& archive) : name_(archive.name()), bytes_{archive.view()} {
    zlib_filefunc64_def functions = {};
    functions.zopen64_file = open_bytes;
    functions.zread_file = read_bytes;
    functions.ztell64_file = tell_bytes;
    functions.zseek64_file = seek_bytes;
    functions.zclose_file = close_bytes;
    functions.zerror_file = no_error;
    functions.opaque = &bytes_;
    zip_.reset(unzOpen2_64(name_.c_str(), &functions));
    if (zip_ == nullptr)
      throw BadSample(fmt::format(
          "{}: is no ZIP archive, or its end is cut off: there is no directory at the end", name_));
    unz_global_info64 info = {};
    unzGetGlobalInfo64(zip_.get(), &info);
    members_ = info.number_entry;
  }

  // False at the end.
  bool next(ZipMember& member) {
    if (read_ == members_) return false;
    const int code = read_ == 0 ? unzGoToFirstFile(zip_.get()) : unzGoToNextFile(zip_.get());
    unz_file_info64 info = {};
    if (code != UNZ_OK || unzGetCurrentFileInfo64(zip_.get(), &info, text_.data(), text_.size(),
                                                  nullptr, 0, nullptr, 0) != UNZ_OK) {
      throw BadSample(fmt::format("{}: the archive's directory is damaged at member {} of {}",
                                  name_, read_ + 1, members_));
    }
    ++read_;
    member.name = std::string(text_.data(), std::min<std::size_t>(info.size_filename, kMaxName));
    member.deflated = info.compression_method == kDeflate;
    member.packed_size = info.compressed_size;
    member.size = info.uncompressed_size;
    member.crc32 = static_cast<std::uint32_t>(info.crc);
    member.mode =
        info.version >> 8 == kUnix ? static_cast<std::uint32_t>(info.external_fa >> 16) : 0;
    if ((info.flag & kEncrypted) != 0) fail(member, "is encrypted");
    if (info.compression_method != 0 && !member.deflated) {
      fail(member, fmt::format("is compressed by method {}; stored and deflated members are read",
                               info.compression_method));
    }
    if (!member.deflated && member.size != member.packed_size)
      fail(member, "is stored, with two different sizes");
    member.data_offset = data_offset(member);
    const std::uint64_t size = bytes_.bytes.size();
    if (member.data_offset > size || member.packed_size > size - member.data_offset) {
      fail(member,
           fmt::format("reaches beyond the end of the file: {} bytes from byte {} on, of {}",
                       member.packed_size, member.data_offset, size));
    }
    return true;
  }

 private:
  [[noreturn]] void fail(const ZipMember& member, const std::string& why) const {
    throw BadSample(fmt::format("{}: member {:?} {}", name_, member.name.substr(0, 200), why));
  }

  // Behind the member's own header, whose length only that header tells.
  std::uint64_t data_offset(const ZipMember& member) {
    if (unzOpenCurrentFile2(zip_.get(), nullptr, nullptr, 1 /* as it lies there */) != UNZ_OK)
      fail(member, "has a damaged header");
    const std::uint64_t offset = unzGetCurrentFileZStreamPos64(zip_.get());
    unzCloseCurrentFile(zip_.get());
    return offset;
  }

  struct Close {
    void operator()(void* zip) const { unzClose(zip); }
  };
  std::string name_;
  ByteCursor bytes_;
  std::unique_ptr<void, Close> zip_;
  std::string text_ = std::string(kMaxName + 1, '\0');
  std::uint64_t members_ = 0;
  std::uint64_t read_ = 0;
};

}  // namespace

ZipArchive::ZipArchive(SharedBytes archive) : archive_(std::move(archive)) {
  Directory directory(archive_);
  std::unordered_map<std::string, std::size_t> seen;
  for (ZipMember member; directory.next(member);) {
    const auto [place, fresh] = seen.emplace(member.name, members_.size());
    if (fresh) {
      members_.push_back(std::move(member));
    } else {
      members_[place->second] = std::move(member);
    }
  }
}

SharedBytes ZipArchive::read(const ZipMember& member) const {
  const std::string name = fmt::format("{}: {}", archive_.name(), member.name);
  const SharedBytes packed = archive_.part(member.data_offset, member.packed_size, name);
  return member.deflated ? inflate_exactly(packed, member.size, member.crc32) : packed;
}

}  // namespace lctl
