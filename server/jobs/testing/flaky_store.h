// A store whose writes of jobs fail while a test wants them to. All else goes to the real one.
#pragma once

#include <string_view>

#include "server/jobs/testing/forwarding_store.h"

namespace lctl::jobs {

// Thread rule: caller locks.
class FlakyStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  // OK = writes go through.
  absl::Status failure = absl::OkStatus();

 private:
  absl::StatusOr<JobId> create(const storage::JobChange& change, std::string_view key) override {
    if (!failure.ok()) return failure;
    return ForwardingStore::create(change, key);
  }
  absl::Status record(std::span<const storage::JobChange> changes) override {
    if (!failure.ok()) return failure;
    return ForwardingStore::record(changes);
  }
  absl::StatusOr<v1::Job> label(const JobId& id, const storage::LabelChange& change) override {
    if (!failure.ok()) return failure;
    return ForwardingStore::label(id, change);
  }
  absl::StatusOr<std::int64_t> remove(const JobId& id) override {
    if (!failure.ok()) return failure;
    return ForwardingStore::remove(id);
  }
  absl::Status set_drained(const NodeId& node, std::int64_t drained_us,
                           std::string_view reason) override {
    if (!failure.ok()) return failure;
    return ForwardingStore::set_drained(node, drained_us, reason);
  }
};

}  // namespace lctl::jobs
