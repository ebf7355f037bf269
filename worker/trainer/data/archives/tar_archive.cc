// Tars, by the reader that shards have.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "worker/trainer/data/archives/archive.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/webdataset/tar_reader.h"

namespace lctl::archives {
namespace {

using webdataset::ReadOnlyFile;
using webdataset::TarMember;
using webdataset::TarMemberKind;
using webdataset::TarMembers;
using webdataset::TarReader;

constexpr std::size_t kPiece = std::size_t{1} << 20;

ArchiveMember::Kind kind_of(TarMemberKind kind) {
  switch (kind) {
    case TarMemberKind::kFolder:
      return ArchiveMember::Kind::kFolder;
    case TarMemberKind::kSymbolicLink:
      return ArchiveMember::Kind::kSymbolicLink;
    case TarMemberKind::kHardLink:
      return ArchiveMember::Kind::kHardLink;
    case TarMemberKind::kDevice:
      return ArchiveMember::Kind::kDevice;
    default:
      return ArchiveMember::Kind::kFile;
  }
}

class TarArchive final : public Archive {
 public:
  TarArchive(const std::string& path, std::string name)
      : file_(ReadOnlyFile::open(path)), name_(std::move(name)) {
    rewind();
  }

  std::optional<ArchiveMember> next() override {
    std::optional<TarMember> member = reader_->next();
    if (!member) return std::nullopt;
    offset_ = member->offset;
    size_ = member->size;
    return ArchiveMember{std::move(member->name), kind_of(member->kind), member->size,
                         std::move(member->link)};
  }

  void read(const TakeBytes& take) override {
    for (std::uint64_t done = 0; done < size_;) {
      buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, size_ - done)));
      const std::size_t got =
          file_->read_at(offset_ + done, std::as_writable_bytes(std::span(buffer_)));
      if (got == 0)
        throw BadSample(fmt::format("{}: the file has become shorter while it was read", name_));
      take({buffer_.data(), got});
      done += got;
    }
  }

  void rewind() override { reader_.emplace(file_, name_, TarMembers::kAll); }

 private:
  std::shared_ptr<const ReadOnlyFile> file_;
  std::string name_;
  std::optional<TarReader> reader_;
  std::uint64_t offset_ = 0;  // of the last member's bytes
  std::uint64_t size_ = 0;
  std::vector<char> buffer_;
};

}  // namespace

std::unique_ptr<Archive> open_tar(const std::string& path, const std::string& name) {
  return std::make_unique<TarArchive>(path, name);
}

}  // namespace lctl::archives
