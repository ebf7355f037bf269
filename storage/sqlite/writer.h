// The one thread that writes to the database, with group commit.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "storage/sqlite/connection.h"

namespace lctl::storage {

// Callers hand in changes and sleep; the thread runs everything that is waiting in one transaction,
// commits it with one sync of the disk, and wakes them all. While it syncs, the next group gathers:
// the more callers, the larger the groups, without any timer.
//
// Each change runs in a savepoint, so one that fails leaves no trace and does not disturb the
// others. When the group as a whole cannot be committed (disk full), its changes are tried again
// one by one, each in a transaction of its own, so that the large one fails and the small ones get
// through. Thread rule: internally locked.
class Writer {
 public:
  // Runs in the writer's thread inside a transaction. A status that is not OK, or an exception,
  // undoes it. May be run twice: it must overwrite what it returns through references, not add to
  // it.
  using Change = std::function<absl::Status(Connection&)>;

  // `where` names the database in messages.
  Writer(std::unique_ptr<Connection> connection, std::string where);
  // Finishes what was handed in.
  ~Writer();

  // Returns when the change is durable, or with the reason why it has no effect.
  absl::Status run(Change change);

  // The same for several, in order and if possible in one transaction. One status each.
  std::vector<absl::Status> run_all(std::span<const Change> changes);

  // Runs `work` in the writer's thread outside of any transaction, alone: what SQLite does only so
  // (VACUUM). Changes that come meanwhile wait for its end. Once, and never undone.
  absl::Status run_alone(const Change& work);

  // Since construction.
  struct Counts {
    std::uint64_t commits = 0;         // transactions
    std::uint64_t changes = 0;         // committed in them
    std::uint64_t failed_changes = 0;  // their callers were told why
  };
  Counts counts() const;

 private:
  struct Request {
    const Change* change = nullptr;
    absl::Status result;
  };
  struct Submission {
    std::vector<Request> requests;
    bool alone = false;  // its one request gets no transaction
    bool done = false;
    std::condition_variable finished;
  };

  void work();
  std::vector<Submission*> next_group();
  void submit(Submission& submission);
  void count(const std::vector<Submission*>& group);
  void run_submissions(const std::vector<Submission*>& group);
  enum class Outcome {
    kDone,      // committed (single changes in it may have failed), or its only change failed
    kSpoiled,   // rolled back as a whole: the changes may succeed one by one
    kNotBegun,  // the database could not be locked
  };
  Outcome run_transaction(std::span<Request* const> requests);
  bool apply(Request& request, bool alone);
  void apply_outside(Request& request);
  void roll_back();

  // Constant after construction; used by the thread only.
  const std::unique_ptr<Connection> connection_;
  const std::string where_;

  // Written by the thread only.
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> changes_{0};
  std::atomic<std::uint64_t> failed_changes_{0};

  std::mutex mutex_;
  std::condition_variable work_arrived_;
  // Guarded by mutex_.
  std::deque<Submission*> waiting_;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace lctl::storage
