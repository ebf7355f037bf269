// One process of a node at a time.
#pragma once

#include <functional>
#include <string>

#include "base/descriptor.h"

namespace lctl {

// How to wait for another process.
struct Waiting {
  std::function<bool()> stopped;                // asked several times a second; empty = never
  std::function<void(const std::string&)> say;  // told once for whom; empty = silent
  std::string what;                             // "downloads https://…": what the other does
};

// Holds the lock file `name` of a folder (flock): between processes, and between threads too. Its
// end frees it, in whatever way the process ends; the file itself stays. Thread rule: caller locks.
class FileLock {
 public:
  // Waits for it. Throws std::system_error, and FetchError (kCancelled) when stopped.
  FileLock(int folder, const std::string& name, const Waiting& waiting);

 private:
  Descriptor file_;
};

}  // namespace lctl
