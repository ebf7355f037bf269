// Measures the node while ranks run on it.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "worker/agent/measuring/gpu_library.h"
#include "worker/agent/measuring/node_values.h"
#include "worker/spool/spool_writer.h"

namespace lctl::agent {

// Every so often appends one MetricPoints event with the values of node_values(), keys
// "system/<node>/<name>", to a spool file of each attempt: the forwarder sends it as a stream of
// its own. An attempt whose file cannot be written (disk full) is measured no longer, said once in
// the log: ranks never notice. Thread rule: internally locked.
class NodeMeter {
 public:
  struct Options {
    std::filesystem::path data_dir;  // whose file system is watched
    std::string node;                // its name
    std::string gpu_library = kGpuLibrary;
    Duration every = std::chrono::seconds(10);  // 0 = never
  };
  struct RankProcess {
    int rank = 0;
    int pid = 0;
    unsigned long long start = 0;  // process_start_time(), which tells it from a later one
    std::optional<unsigned> gpu;   // the driver's index
  };

  explicit NodeMeter(Options options);
  ~NodeMeter();

  // From now on. `log` is continued when it is there.
  void add(const AttemptId& attempt, const std::filesystem::path& log,
           std::vector<RankProcess> ranks);

  // When it returns the log is closed and whole.
  void remove(const AttemptId& attempt);

  // Once, now, all attempts: what the thread does.
  void measure();

 private:
  struct Measured {
    std::unique_ptr<spool::SpoolWriter> log;  // null after an error
    std::vector<RankProcess> ranks;
    NodeReading first;
    NodeReading before;
  };

  void run();
  NodeReading read(const HostReading& host, const std::vector<RankProcess>& ranks) const;
  absl::Status append(Measured& measured, const NodeReading& now) const;

  const Options options_;

  std::mutex mutex_;
  // State below is protected by mutex_.
  std::unique_ptr<GpuLibrary> gpus_;  // null where there are none
  std::condition_variable changed_;
  std::map<AttemptId, Measured> attempts_;
  bool ending_ = false;

  std::thread thread_;
};

}  // namespace lctl::agent
