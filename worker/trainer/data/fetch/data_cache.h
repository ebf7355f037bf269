// The node's fetched files, named by their content.
//
//   sha256/ab/abcd…/NAME       content, under the name that its URL ends with (readers look at
//                              endings); further names are hard links
//   sha256/ab/abcd…/.verified  note: the state of the file when it was hashed
//   sha256/ab/abcd…/.unpacked/ what is made of an archive (../archives)
//   unpacked/KEY/              the same for a local file (KEY: of its path, size, time and inode)
//   url/KEY                    note: what a URL gave (KEY: SHA-256 of the URL)
//   url/KEY.partial{,.json}    an unfinished download, and what it is a part of
//   url/KEY.lock               locked by the process that downloads
//   file/KEY                   note: the checksum of a local file (KEY: SHA-256 of its path)
//   …/.used, use.lock          when an entry was used last, and who uses which (use_locks.h)
//   evict.lock, trash/         for who makes room (cache_bound.h)
//
// Content appears by a rename, when it is whole, checked and on the disk. It is not hashed again by
// each process that uses it, which would cost more than reading it: only when size, time or inode
// differ from the note, and then a file that is not what its folder says is removed.
// What a DataCache has found or made stays while it lives; cache_bound.h removes other things for
// space. Deleting the folder while no job runs is safe.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/descriptor.h"
#include "worker/trainer/data/fetch/cache_record.h"
#include "worker/trainer/data/fetch/use_locks.h"

namespace lctl {

// In the folder of an entry: its time is when the entry was used last.
inline constexpr char kUsedNote[] = ".used";

// Throws std::system_error for what the file system refuses. Thread rule: immutable; any thread.
class DataCache {
 public:
  // A folder from usable_root(). Makes the three folders below it when it can be written.
  explicit DataCache(const std::filesystem::path& root);

  const std::filesystem::path& root() const { return root_; }
  bool writable() const { return writable_; }

  // The file with that content, named `name` (another name of it in a cache that cannot be
  // written). Nothing when it is not there, or `stopped`.
  std::optional<std::filesystem::path> find(const std::string& sha256, const std::string& name,
                                            const std::function<bool()>& stopped) const;

  // Makes the finished download of `key` the content `sha256`: it is on the disk already.
  std::filesystem::path commit(const std::string& key, const std::string& sha256,
                               const std::string& name) const;

  std::optional<UrlRecord> url_record(const std::string& key) const;
  void write_url_record(const std::string& key, const UrlRecord& record) const;

  // Where what is made of a file belongs, such as an archive's members: beside it, when it is this
  // cache's content, else in a folder that is named by its path, size, time and inode (made, where
  // the cache can be written).
  std::filesystem::path place_for(const std::filesystem::path& file) const;

  // Open folders, for locks, downloads and notes; -1 = not there, and cannot be made.
  int url_folder() const { return url_.get(); }
  int file_folder() const { return file_.get(); }

 private:
  DataCache(const std::filesystem::path& root, const Descriptor& folder);

  std::filesystem::path root_;
  bool writable_ = false;
  UseLocks uses_;
  Descriptor sha256_;
  Descriptor url_;
  Descriptor file_;
};

}  // namespace lctl
