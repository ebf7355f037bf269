// Takes in what agents send of their ranks' streams: checks it, has it stored, and says what became
// of it. The way from bytes of unknown quality to committed data; knows nothing of connections.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "proto/lctl/v1/event.pb.h"
#include "storage/metrics/event_store.h"

namespace lctl::ingest {

// Largest batch: the bytes of its events and text together.
inline constexpr std::size_t kMaxBatchBytes = 4 << 20;

// Told of events that are new in the store, after their commit, in the order of each stream. Calls
// come from any thread, several at once, and must return quickly (post, do not work). After a crash
// between commit and call the store knows more than the observer was told: it asks the store when
// it starts.
class EventObserver {
 public:
  virtual ~EventObserver() = default;
  virtual void on_ready(const AttemptId& attempt, int rank, const v1::RankReady& ready) = 0;
  virtual void on_progress(const AttemptId& attempt, const v1::Progress& progress) = 0;  // rank 0's
  virtual void on_finished(const AttemptId& attempt, int rank, const v1::Finished& finished) = 0;
};

struct RawEvent {
  std::uint64_t offset = 0;
  std::uint64_t end_offset = 0;
  std::string_view bytes;  // serialized v1::Event
};

// As it came from an agent; nothing of it has been checked. Views must outlive the call.
struct Batch {
  storage::StreamKey stream;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::int64_t time_us = 0;
  std::vector<RawEvent> events;
  std::string_view text;
};

// See the results of v1::IngestAck.
enum class Verdict { kOk, kGap, kFenced, kInvalid, kRetry };

struct Outcome {
  Verdict verdict = Verdict::kOk;
  std::uint64_t committed_offset = 0;  // all bytes before it are durable or were given up
  std::string message;                 // why, for other than kOk
};

// What has come in since the start.
struct IntakeCounts {
  std::array<std::uint64_t, 5> batches{};  // by Verdict
  std::uint64_t bytes = 0;                 // of events and text, also of batches that came again
  std::uint64_t events = 0;                // new in the store
  std::uint64_t points = 0;                // metric points among them
};

// What cannot be used is given up rather than sent for ever: an event that cannot be parsed is left
// out and the rest of its batch applied; a batch that makes no sense is skipped to its end. Both
// are kInvalid. A batch without a sensible stream or range is refused and moves nothing. Thread
// rule: internally locked.
class Intake {
 public:
  // Both must outlive it.
  Intake(storage::EventStore& store, EventObserver& observer)
      : store_(store), observer_(observer) {}

  // One outcome for each batch. Batches of one call share a transaction; those of one stream are
  // applied in their order.
  std::vector<Outcome> apply(std::span<const Batch> batches);

  IntakeCounts counts() const;

 private:
  struct Parsed;

  Outcome conclude(const Batch& batch, const Parsed& parsed,
                   const absl::StatusOr<storage::Applied>& applied);
  Outcome give_up(const Batch& batch, std::string message);
  void tell(const Batch& batch, const Parsed& parsed, std::uint64_t first_new);
  void count(std::span<const Batch> batches, std::span<const Outcome> outcomes);
  std::uint64_t committed_offset(const storage::StreamKey& stream) const;

  storage::EventStore& store_;
  EventObserver& observer_;
  // Added to once a batch or a call, never once a point.
  std::array<std::atomic<std::uint64_t>, 5> batches_{};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> events_{0};
  std::atomic<std::uint64_t> points_{0};
};

}  // namespace lctl::ingest
