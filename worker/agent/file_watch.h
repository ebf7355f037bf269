// Tells that ranks have written something, without asking their files over and over.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "worker/agent/process_start.h"

namespace lctl::agent {

// Watches folders with inotify for growing files of certain names. Bursts are gathered: `on_change`
// is called at most every 5 ms, on a thread of the watch. Where the kernel gives no watch (limits
// of fs.inotify), add() says so and the caller has to look by itself. Thread rule: internally
// locked.
class FileWatch {
 public:
  FileWatch(std::vector<std::string> names, std::function<void()> on_change);
  ~FileWatch();

  // The folder must exist. False: changes in it will not be told.
  bool add(const std::filesystem::path& folder);
  void remove(const std::filesystem::path& folder);

 private:
  void run();
  bool drain();  // reads what the kernel has to say; true when a watched name is among it

  const std::vector<std::string> names_;
  const std::function<void()> on_change_;
  const Descriptor inotify_;
  const Descriptor stop_;  // an eventfd

  std::mutex mutex_;
  std::map<std::filesystem::path, int> watches_;  // protected by mutex_

  std::thread thread_;
};

}  // namespace lctl::agent
