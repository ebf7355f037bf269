// Writes checkpoints while training goes on.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "worker/trainer/checkpoint/snapshot.h"
#include "worker/trainer/checkpoint/value.h"

namespace lctl::checkpoint {

// What is asked of it happens in that order, on a thread of its own; write() returns as soon as
// the tensors are copied to memory of the host (those of a device: as soon as that has been told to
// do so, before anything that comes later). Two checkpoints may be on their way, a third one
// waits for the first, so memory is bounded by two of them. When memory is scarce write() writes
// before it returns, and copies nothing.
//
// When something fails, what was asked for after it does not happen (a checkpoint is not removed
// when its successor could not be written), and the next call throws the error.
//
// Thread rule: one strand only (the training thread).
class BackgroundWriter {
 public:
  using Work = std::function<void()>;

  struct Options {
    bool in_background = true;  // else everything is done at once, by the caller
    // Bytes of memory that may still be used; negative: nobody knows.
    std::function<std::int64_t()> available_memory;
    PinMemory pin = nullptr;  // for tensors of a device; null: ordinary memory
  };

  explicit BackgroundWriter(Options options);

  // Ends what was begun; an error is a warning then.
  ~BackgroundWriter();
  BackgroundWriter(const BackgroundWriter&) = delete;
  BackgroundWriter& operator=(const BackgroundWriter&) = delete;

  // write_file(). `then` (may be empty) follows on the writer's thread when the file is whole,
  // `done` (may be empty) later on this one: in poll(), wait() or a later call.
  void write(const std::string& file, const Value& value, Work then, Work done);

  // Removes the file or folder; nothing when it is not there.
  void remove(const std::string& file, Work done);

  // Anything else that must not overtake them, and makes `file`.
  void make(const std::string& file, Work work);

  // Whether it will be there when all that was asked for is done.
  bool exists(const std::string& file) const;

  // Runs what is done. Throws an error of the writer's thread. Costs an atomic read when there is
  // nothing.
  void poll();

  // poll() once all is done.
  void wait();

  // Makes memory ready for snapshots of that size, in the background.
  void expect(std::size_t bytes);

 private:
  struct Kept {
    explicit Kept(const PinMemory& pin) : memory(pin) {}
    SnapshotMemory memory;
    bool used = false;       // protected by mutex_
    bool preparing = false;  // by expect(); protected by mutex_
  };
  struct Task {
    Work work;
    Work done;
    Kept* kept = nullptr;  // what it uses
  };

  void submit(Task task);
  void run();
  bool affordable(std::size_t bytes) const;
  // The largest of the memories that no snapshot uses; null without one.
  Kept* unused_memory();
  bool preparing();
  // Memory for a snapshot, after a wait if need be; null when it cannot be afforded.
  Kept* memory_for(std::size_t bytes);

  const Options options_;
  std::map<std::string, bool> expected_;  // by file: will it be there?
  std::vector<std::unique_ptr<Kept>> memories_;

  std::atomic<bool> news_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  // State below is protected by mutex_.
  std::deque<Task> tasks_;  // the first one is being done
  std::vector<Work> done_;
  std::exception_ptr error_;
  bool ending_ = false;

  std::thread thread_;
};

}  // namespace lctl::checkpoint
