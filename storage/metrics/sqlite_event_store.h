// EventStore over SQLite.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "storage/metrics/event_store.h"
#include "storage/sqlite/database.h"

namespace lctl::storage {

// `database` and `clock` must outlive it. Thread rule: internally locked.
class SqliteEventStore final : public EventStore {
 public:
  // `max_keys`: metric keys that a job may have; 0 = no limit.
  SqliteEventStore(Database& database, const Clock& clock, int max_keys)
      : database_(database), clock_(clock), max_keys_(max_keys) {}

  absl::StatusOr<Applied> apply(const StreamKey& stream, std::uint64_t from, std::uint64_t to,
                                const std::vector<SpooledEvent>& events) override;
  absl::StatusOr<Applied> append_text(const StreamKey& stream, std::uint64_t from,
                                      std::string_view text, std::int64_t time_us) override;
  std::vector<absl::StatusOr<Applied>> apply_all(const std::vector<StreamBatch>& batches) override;
  absl::StatusOr<std::uint64_t> committed_offset(const StreamKey& stream) const override;
  absl::StatusOr<std::optional<RankResult>> rank_result(const AttemptId& attempt,
                                                        int rank) const override;
  absl::StatusOr<TextPage> read_text(const TextQuery& query) const override;
  absl::StatusOr<TextTail> find_tail(const TextQuery& query, std::int64_t bytes) const override;

 private:
  Database& database_;
  const Clock& clock_;
  const int max_keys_;
};

}  // namespace lctl::storage
