// The real store as a server sees it that may crash between any two of its steps.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "server/jobs/testing/forwarding_store.h"
#include "tests/simulation/bug.h"
#include "tests/simulation/invariants.h"

namespace lctl::simulation {

// Counts what a server does that others can see: commits and messages. After the last one that it
// is allowed nothing has an effect any more: it has crashed there, though its code runs on to where
// the simulation can take it away. Thread rule: caller locks.
class CrashPoint {
 public:
  void after(int steps) { left_ = steps; }
  bool reached() const { return left_ == 0; }
  // Whether the next step still happens.
  bool pass() {
    if (left_ == 0) return false;
    if (left_ > 0) --left_;
    return true;
  }

 private:
  int left_ = -1;  // -1 = no crash is near
};

// Tells the invariants of every commit. Thread rule: caller locks.
class CrashingStore final : public jobs::ForwardingStore {
 public:
  CrashingStore(storage::Store& real, CrashPoint& crash, Invariants& invariants, Bug bug)
      : ForwardingStore(real), crash_(crash), invariants_(invariants), bug_(bug) {}

  // Of Bug::kActsBeforeCommit: what a server still owed the disk.
  void commit_owed() {
    std::vector<storage::JobChange> owed = std::exchange(owed_, {});
    if (!owed.empty() && crash_.pass()) static_cast<void>(commit(owed));
  }

 private:
  static absl::Status crashed() { return absl::UnavailableError("the server has crashed"); }

  absl::Status commit(std::span<const storage::JobChange> changes) {
    const absl::Status status = ForwardingStore::record(changes);
    if (status.ok()) invariants_.recorded(changes);
    return status;
  }

  absl::StatusOr<JobId> create(const storage::JobChange& change, std::string_view key) override {
    if (!crash_.pass()) return crashed();
    auto id = ForwardingStore::create(change, key);
    if (id.ok()) invariants_.created(change.job, change.job.spec());
    return id;
  }
  absl::Status record(std::span<const storage::JobChange> changes) override {
    if (bug_ == Bug::kActsBeforeCommit) {
      commit_owed();
      owed_.assign(changes.begin(), changes.end());
      return absl::OkStatus();
    }
    return crash_.pass() ? commit(changes) : crashed();
  }
  absl::StatusOr<v1::Job> label(const JobId& id, const storage::LabelChange& change) override {
    if (!crash_.pass()) return crashed();
    return ForwardingStore::label(id, change);
  }
  absl::Status upsert_node(const storage::NodeRow& node) override {
    if (!crash_.pass()) return crashed();
    return ForwardingStore::upsert_node(node);
  }
  absl::Status set_drained(const NodeId& node, std::int64_t drained_us,
                           std::string_view reason) override {
    if (!crash_.pass()) return crashed();
    return ForwardingStore::set_drained(node, drained_us, reason);
  }

  CrashPoint& crash_;
  Invariants& invariants_;
  const Bug bug_;
  std::vector<storage::JobChange> owed_;
};

}  // namespace lctl::simulation
