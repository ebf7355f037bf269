// Until when the ranks of this node may run without a word from the server.
//
// The deadline lies in a file that the ranks' keepers look at, so it holds also when the daemon is
// dead or stuck (docs/formats/launch.md). Whatever the server answers moves it on. So does a host
// that refuses the connection: a server that does not run starts no replacement. Only silence lets
// it pass.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/status.h"

namespace lctl::agent {

// Since the machine was started.
using BootTime = std::chrono::nanoseconds;

struct LeaseTerms {
  BootTime deadline{};  // zero = no lease
  Duration length{};
};

std::string to_text(const LeaseTerms& terms);
LeaseTerms parse_lease(const std::string& text);  // none when it is no lease

// Thread rule: internally locked.
class Lease {
 public:
  struct Options {
    std::filesystem::path file;
    std::function<bool()> refused;  // asks the server's host; may block for seconds
    std::function<BootTime()> now;
  };

  // Takes up what an earlier daemon left in the file. Errors name it.
  static absl::StatusOr<std::unique_ptr<Lease>> open(Options options);
  ~Lease();

  // From now on a thread calls look() several times in the length of the lease.
  void start();

  // The server has answered what was sent at `sent`, and grants `length` from then on; zero = for
  // ever.
  void renew(BootTime sent, Duration length);

  // When nothing has been heard for a while: asks the host, and renews when that refuses.
  void look();

 private:
  Lease(Options options, Descriptor file) : options_(std::move(options)), file_(std::move(file)) {}
  void run();
  void write_locked(const LeaseTerms& terms);

  const Options options_;
  const Descriptor file_;

  std::mutex mutex_;
  // State below is protected by mutex_.
  std::condition_variable changed_;
  LeaseTerms terms_;
  bool failed_ = false;  // the last write; logged
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace lctl::agent
