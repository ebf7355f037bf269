// Which entries of the cache live processes use.
#pragma once

#include <string>

#include "base/descriptor.h"

namespace lctl {

// A byte of the file `use.lock` stands for an entry (a SHA-256, as the cache names them): who uses
// it locks the byte for reading, who removes it for writing. The kernel forgets a process' locks
// when it ends, however that is, and one descriptor is enough for any number of entries (open file
// description locks, fcntl(2)). Entries whose first 60 bits are equal share a byte, which keeps one
// of them a little longer. Thread rule: any thread.
class UseLocks {
 public:
  // `root`: the cache's open folder. Where the file cannot be opened, nothing is locked, and
  // nothing removed.
  UseLocks(int root, bool writable);

  // The entry stays until this object goes. Waits for one that is being removed.
  void use(const std::string& entry) const;

 private:
  Descriptor file_;
};

// Keeps others from using an entry while it is removed. Thread rule: caller locks.
class RemovalLock {
 public:
  // A descriptor of its own: uses of this process count, too.
  explicit RemovalLock(int root);

  // False when somebody uses it. Takes the place of the entry before.
  bool try_lock(const std::string& entry);
  void unlock();

 private:
  Descriptor file_;
};

}  // namespace lctl
