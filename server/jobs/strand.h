// One thread that runs what others post, in order: the door into the jobs engine and the node
// table.
//
// Everything that is posted while the thread is busy is run as one batch, and `after_batch` runs
// once behind it: that is where the engine commits (one transaction for many reports) and
// schedules. The thread sleeps until something is posted or `next_deadline` comes; nothing polls.
// Thread rule: internally locked; post and call from any thread, call not from the strand itself.
#pragma once

#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/check.h"
#include "base/clock.h"

namespace lctl::jobs {

class Strand {
 public:
  struct Hooks {
    // After each batch, and when a deadline has come. On the strand.
    std::function<void()> after_batch;
    // When after_batch wants to run again by itself; nullopt = not before something is posted.
    std::function<std::optional<MonotonicTime>()> next_deadline;
  };

  explicit Strand(const Clock& clock) : clock_(clock) {}
  ~Strand() { stop(); }
  Strand(const Strand&) = delete;
  Strand& operator=(const Strand&) = delete;

  // Starts the thread. Once.
  void start(Hooks hooks);

  // Runs what was posted before, then ends the thread. Idempotent.
  void stop();

  // Runs `work` on the strand, later. It must not throw. False: the strand has been stopped.
  bool post(std::function<void()> work);

  bool running_in_this_thread() const { return std::this_thread::get_id() == thread_.get_id(); }

  // Runs `work` on the strand and waits for its result. The strand must be running.
  template <typename Work>
  auto call(Work work) -> std::invoke_result_t<Work> {
    using Result = std::invoke_result_t<Work>;
    LCTL_CHECK(!running_in_this_thread(), "a strand cannot wait for itself");
    std::promise<Result> promise;
    std::future<Result> result = promise.get_future();
    const bool posted = post([&] {
      if constexpr (std::is_void_v<Result>) {
        work();
        promise.set_value();
      } else {
        promise.set_value(work());
      }
    });
    LCTL_CHECK(posted, "the strand outlives those who call it");
    return result.get();
  }

 private:
  void run();

  const Clock& clock_;
  Hooks hooks_;
  std::thread thread_;

  std::mutex mutex_;
  // State below is protected by mutex_.
  std::condition_variable wake_;
  std::vector<std::function<void()>> posted_;
  bool stopping_ = false;
};

}  // namespace lctl::jobs
