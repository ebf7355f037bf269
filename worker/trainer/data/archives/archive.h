// An archive of any kind, as a row of members.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace lctl::archives {

struct ArchiveMember {
  enum class Kind { kFile, kFolder, kSymbolicLink, kHardLink, kDevice };

  std::string name;
  Kind kind = Kind::kFile;
  std::uint64_t size = 0;  // of a file, unpacked
  std::string target;      // of a link; a hard link's is a member's name
};

// Gets a member's bytes, in order and in pieces. What it throws comes out of read().
using TakeBytes = std::function<void(std::string_view bytes)>;

// Thread rule: one strand only.
class Archive {
 public:
  virtual ~Archive() = default;

  // The members from front to back; nothing at the end. Throws BadSample for a damaged archive.
  virtual std::optional<ArchiveMember> next() = 0;

  // The bytes of the file that next() gave last. Throws BadSample when they are damaged.
  virtual void read(const TakeBytes& take) = 0;

  // The first member is the next one.
  virtual void rewind() = 0;
};

// What the bytes are in the form of, whatever the file's name is.
enum class ArchiveForm { kTar, kGzip, kZip };

// Throws BadSample for compressed files of other kinds, std::runtime_error for a file that cannot
// be read. `name` is what messages call it, here and below.
ArchiveForm archive_form(const std::string& path, const std::string& name);

// `path` must not become shorter meanwhile. Throws BadSample and std::runtime_error.
std::unique_ptr<Archive> open_tar(const std::string& path, const std::string& name);
std::unique_ptr<Archive> open_zip(const std::string& path, const std::string& name);

}  // namespace lctl::archives
