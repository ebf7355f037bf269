// Looks after the GPUs of this node, and tells which of them must not be used.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "worker/agent/measuring/gpu_judge.h"
#include "worker/agent/measuring/gpu_library.h"

namespace lctl::agent {

// By the driver's index: why it must not be used.
using GpuFaults = std::map<unsigned, std::string>;

// Does nothing on a machine without GPUs. Thread rule: internally locked; `changed` is called on
// the watch's own thread, with all that are faulty now.
class GpuWatch {
 public:
  struct Options {
    std::string gpu_library = kGpuLibrary;
    Duration every = std::chrono::seconds(1);  // 0 = never
    std::function<void(const GpuFaults&)> changed;
  };

  explicit GpuWatch(Options options);
  ~GpuWatch();

 private:
  void run();
  void look();

  const Options options_;
  // State below is the thread's.
  std::unique_ptr<GpuLibrary> gpus_;
  std::map<unsigned, GpuJudge> judges_;
  GpuFaults told_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;  // protected by mutex_

  std::thread thread_;
};

}  // namespace lctl::agent
