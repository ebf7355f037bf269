#include "storage/sqlite/writer.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "storage/sqlite/error.h"

namespace lctl::storage {
namespace {

// Keeps a transaction, and with it the wait of its callers, short.
constexpr std::size_t kMaxGroup = 512;

}  // namespace

Writer::Writer(std::unique_ptr<Connection> connection, std::string where)
    : connection_(std::move(connection)), where_(std::move(where)), thread_([this] { work(); }) {}

Writer::~Writer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_arrived_.notify_all();
  thread_.join();
}

absl::Status Writer::run(Change change) { return run_all({&change, 1}).front(); }

std::vector<absl::Status> Writer::run_all(std::span<const Change> changes) {
  Submission submission;
  submission.requests.reserve(changes.size());
  for (const Change& change : changes)
    submission.requests.push_back({.change = &change, .result = {}});
  submit(submission);
  std::vector<absl::Status> results;
  results.reserve(changes.size());
  for (Request& request : submission.requests) results.push_back(std::move(request.result));
  return results;
}

absl::Status Writer::run_alone(const Change& work) {
  Submission submission;
  submission.requests.push_back({.change = &work, .result = {}});
  submission.alone = true;
  submit(submission);
  return std::move(submission.requests.front().result);
}

void Writer::submit(Submission& submission) {
  std::unique_lock lock(mutex_);
  waiting_.push_back(&submission);
  work_arrived_.notify_one();
  submission.finished.wait(lock, [&] { return submission.done; });
}

// Waits for work; empty when there is none and none will come.
std::vector<Writer::Submission*> Writer::next_group() {
  std::vector<Submission*> group;
  std::unique_lock lock(mutex_);
  work_arrived_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
  std::size_t changes = 0;
  while (!waiting_.empty() && changes < kMaxGroup) {
    const bool alone = waiting_.front()->alone;
    if (alone && !group.empty()) break;
    changes += waiting_.front()->requests.size();
    group.push_back(waiting_.front());
    waiting_.pop_front();
    if (alone) break;
  }
  return group;
}

void Writer::work() {
  while (true) {
    const std::vector<Submission*> group = next_group();
    if (group.empty()) return;
    if (group.front()->alone) {
      apply_outside(group.front()->requests.front());
    } else {
      run_submissions(group);
    }
    count(group);
    const std::lock_guard lock(mutex_);
    for (Submission* submission : group) {
      submission->done = true;
      // Under the lock: the submission lives on its caller's stack, and is gone once that wakes.
      submission->finished.notify_one();
    }
  }
}

void Writer::count(const std::vector<Submission*>& group) {
  std::uint64_t good = 0;
  std::uint64_t failed = 0;
  for (const Submission* submission : group) {
    for (const Request& request : submission->requests) ++(request.result.ok() ? good : failed);
  }
  changes_.fetch_add(good, std::memory_order_relaxed);
  failed_changes_.fetch_add(failed, std::memory_order_relaxed);
}

Writer::Counts Writer::counts() const {
  return {.commits = commits_.load(std::memory_order_relaxed),
          .changes = changes_.load(std::memory_order_relaxed),
          .failed_changes = failed_changes_.load(std::memory_order_relaxed)};
}

void Writer::run_submissions(const std::vector<Submission*>& group) {
  std::vector<Request*> requests;
  for (Submission* submission : group) {
    for (Request& request : submission->requests) requests.push_back(&request);
  }
  if (requests.empty()) return;
  if (run_transaction(requests) != Outcome::kSpoiled || requests.size() == 1) return;
  for (Request*& request : requests) run_transaction({&request, 1});
}

Writer::Outcome Writer::run_transaction(std::span<Request* const> requests) {
  const bool alone = requests.size() == 1;
  const auto fail_all = [&](const absl::Status& failure) {
    for (Request* request : requests) request->result = failure;
  };
  try {
    connection_->execute("BEGIN IMMEDIATE");
  } catch (const SQLite::Exception& error) {
    fail_all(status_of(error, where_));
    return Outcome::kNotBegun;
  }
  for (Request* request : requests) {
    if (apply(*request, alone)) continue;
    // SQLite ended the transaction itself, and with it what the others had done.
    fail_all(absl::Status(request->result));
    roll_back();
    return Outcome::kSpoiled;
  }
  if (alone && !requests.front()->result.ok()) {
    roll_back();
    return Outcome::kDone;
  }
  try {
    connection_->execute("COMMIT");
    commits_.fetch_add(1, std::memory_order_relaxed);
    return Outcome::kDone;
  } catch (const SQLite::Exception& error) {
    fail_all(status_of(error, where_));
    roll_back();
    return Outcome::kSpoiled;
  }
}

// False when the failure has ended the whole transaction.
bool Writer::apply(Request& request, bool alone) {
  try {
    if (!alone) connection_->query("SAVEPOINT change").run();
    request.result = (*request.change)(*connection_);
  } catch (const SQLite::Exception& error) {
    request.result = status_of(error, where_);
  } catch (const std::exception& error) {
    request.result = absl::InternalError(fmt::format("{}: {}", where_, error.what()));
  }
  if (connection_->in_autocommit()) {
    if (request.result.ok()) request.result = absl::InternalError(where_ + ": transaction lost");
    return false;
  }
  if (alone) return true;
  try {
    if (!request.result.ok()) connection_->query("ROLLBACK TO change").run();
    connection_->query("RELEASE change").run();
    return true;
  } catch (const SQLite::Exception& error) {
    request.result = status_of(error, where_);
    return false;
  }
}

void Writer::apply_outside(Request& request) {
  try {
    request.result = (*request.change)(*connection_);
  } catch (const SQLite::Exception& error) {
    request.result = status_of(error, where_);
  } catch (const std::exception& error) {
    request.result = absl::InternalError(fmt::format("{}: {}", where_, error.what()));
  }
  roll_back();  // whatever it may have left open
}

void Writer::roll_back() {
  if (connection_->in_autocommit()) return;
  try {
    connection_->execute("ROLLBACK");
  } catch (const SQLite::Exception&) {
    // ROLLBACK fails only when there is no transaction (any more): that is the wanted state.
  }
}

}  // namespace lctl::storage
