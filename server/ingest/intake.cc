#include "server/ingest/intake.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "server/ingest/event_parsing.h"

namespace lctl::ingest {

using storage::Applied;
using storage::SpooledEvent;
using storage::StreamBatch;
using storage::StreamKind;

// A batch on its way to the store.
struct Intake::Parsed {
  bool refused = false;   // nothing is sent to the store
  std::string complaint;  // "" = all of it is good
  std::vector<SpooledEvent> events;
  std::string_view text;
};

namespace {

constexpr std::uint64_t kMaxOffset = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kMaxJobIdBytes = 64;
constexpr int kMaxRank = 4'096 * 1'024 - 1;
// A spool begins with a few bytes that belong to no record (docs/formats/spool.md).
constexpr std::uint64_t kMaxHeaderBytes = 64;

// "" when the stream and the range can be.
std::string complaint_of_place(const Batch& batch) {
  const storage::StreamKey& stream = batch.stream;
  const std::size_t id_bytes = stream.attempt.job.str().size();
  if (id_bytes < 1 || id_bytes > kMaxJobIdBytes) {
    return fmt::format("a job id of {} bytes; 1 to {} are allowed", id_bytes, kMaxJobIdBytes);
  }
  if (stream.attempt.number < 1 || stream.rank < 0 || stream.rank > kMaxRank) {
    return fmt::format("attempt {} and rank {} cannot be", stream.attempt.number, stream.rank);
  }
  if (!storage::is_stream_kind(stream.kind)) {
    return fmt::format("stream kind {} does not exist", static_cast<int>(stream.kind));
  }
  if (batch.from > batch.to || batch.to > kMaxOffset) {
    return fmt::format("a batch cannot reach from byte {} to byte {}", batch.from, batch.to);
  }
  return "";
}

// "" when the content fits the range.
std::string complaint_of_content(const Batch& batch) {
  std::size_t bytes = batch.text.size();
  for (const RawEvent& event : batch.events) bytes += event.bytes.size();
  if (bytes > kMaxBatchBytes) {
    return fmt::format("a batch of {} bytes; at most {} are allowed", bytes, kMaxBatchBytes);
  }
  if (!storage::carries_events(batch.stream.kind)) {
    if (!batch.events.empty()) return "events in a stream of console output";
    if (batch.text.size() == batch.to - batch.from) return "";
    return fmt::format("{} bytes of text for the range [{}, {})", batch.text.size(), batch.from,
                       batch.to);
  }
  if (!batch.text.empty()) return "text in a stream of events";
  std::uint64_t position = batch.from;
  if (batch.from == 0 && !batch.events.empty() && batch.events[0].offset <= kMaxHeaderBytes) {
    position = batch.events[0].offset;
  }
  for (const RawEvent& event : batch.events) {
    if (event.offset != position || event.end_offset <= event.offset) {
      return fmt::format("a record [{}, {}) where one should begin at {}", event.offset,
                         event.end_offset, position);
    }
    position = event.end_offset;
  }
  if (position == batch.to) return "";
  return fmt::format("its records end at {}, the batch at {}", position, batch.to);
}

// Parses what can be parsed; says what was left out ("" = nothing).
std::string parse_events(const Batch& batch, std::vector<SpooledEvent>& events) {
  std::size_t left_out = 0;
  std::string first;
  events.reserve(batch.events.size());
  for (const RawEvent& raw : batch.events) {
    absl::StatusOr<v1::Event> event = parse_event(raw.bytes);
    if (event.ok()) {
      events.push_back({raw.offset, raw.end_offset, *std::move(event)});
    } else if (left_out++ == 0) {
      first = fmt::format("the record at {}: {}", raw.offset, message_of(event.status()));
    }
  }
  if (left_out == 0) return "";
  return fmt::format("{} of {} records were left out; {}", left_out, batch.events.size(), first);
}

Verdict verdict_of(Applied::Result result) {
  switch (result) {
    case Applied::Result::kOk:
      return Verdict::kOk;
    case Applied::Result::kGap:
      return Verdict::kGap;
    case Applied::Result::kFenced:
      return Verdict::kFenced;
  }
  return Verdict::kRetry;
}

std::string message_of_verdict(const Batch& batch, Verdict verdict, std::uint64_t committed) {
  if (verdict == Verdict::kGap) {
    return fmt::format("the batch begins at {}, only {} bytes are committed", batch.from,
                       committed);
  }
  if (verdict == Verdict::kFenced) {
    return fmt::format("attempt {} was replaced, or its job does not exist",
                       batch.stream.attempt.str());
  }
  return "";
}

}  // namespace

std::vector<Outcome> Intake::apply(std::span<const Batch> batches) {
  std::vector<Parsed> parsed(batches.size());
  std::vector<StreamBatch> sent;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const Batch& batch = batches[i];
    parsed[i].complaint = complaint_of_place(batch);
    parsed[i].refused = !parsed[i].complaint.empty();
    if (parsed[i].refused) continue;
    parsed[i].complaint = complaint_of_content(batch);
    if (parsed[i].complaint.empty()) {
      parsed[i].complaint = parse_events(batch, parsed[i].events);
      parsed[i].text = batch.text;
    }
    sent.push_back({.stream = batch.stream,
                    .from = batch.from,
                    .to = batch.to,
                    .events = parsed[i].events,
                    .text = parsed[i].text,
                    .time_us = batch.time_us});
  }
  const std::vector<absl::StatusOr<Applied>> applied = store_.apply_all(sent);

  std::vector<Outcome> outcomes;
  outcomes.reserve(batches.size());
  std::size_t next = 0;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    if (parsed[i].refused) {
      outcomes.push_back({.verdict = Verdict::kInvalid, .message = parsed[i].complaint});
    } else {
      outcomes.push_back(conclude(batches[i], parsed[i], applied[next++]));
    }
  }
  count(batches, outcomes);
  return outcomes;
}

void Intake::count(std::span<const Batch> batches, std::span<const Outcome> outcomes) {
  std::uint64_t bytes = 0;
  for (const Batch& batch : batches) {
    bytes += batch.text.size();
    for (const RawEvent& event : batch.events) bytes += event.bytes.size();
  }
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
  for (const Outcome& outcome : outcomes) {
    batches_[static_cast<std::size_t>(outcome.verdict)].fetch_add(1, std::memory_order_relaxed);
  }
}

IntakeCounts Intake::counts() const {
  IntakeCounts all{.bytes = bytes_.load(std::memory_order_relaxed),
                   .events = events_.load(std::memory_order_relaxed),
                   .points = points_.load(std::memory_order_relaxed)};
  for (std::size_t i = 0; i < all.batches.size(); ++i) {
    all.batches[i] = batches_[i].load(std::memory_order_relaxed);
  }
  return all;
}

Outcome Intake::conclude(const Batch& batch, const Parsed& parsed,
                         const absl::StatusOr<Applied>& applied) {
  if (absl::IsInvalidArgument(applied.status())) {
    return give_up(batch, std::string(message_of(applied.status())));
  }
  if (!applied.ok()) {
    return {.verdict = Verdict::kRetry,
            .committed_offset = committed_offset(batch.stream),
            .message = std::string(message_of(applied.status()))};
  }
  Outcome outcome{.verdict = verdict_of(applied->result),
                  .committed_offset = applied->committed_offset};
  if (outcome.verdict != Verdict::kOk) {
    outcome.message = message_of_verdict(batch, outcome.verdict, outcome.committed_offset);
    return outcome;
  }
  tell(batch, parsed, applied->previous_offset);
  const std::string& complaint = parsed.complaint.empty() ? applied->left_out : parsed.complaint;
  if (!complaint.empty()) {
    outcome.verdict = Verdict::kInvalid;
    outcome.message = complaint;
  }
  return outcome;
}

// Skips a batch that the store refused: it would be refused for ever.
Outcome Intake::give_up(const Batch& batch, std::string message) {
  const std::vector<absl::StatusOr<Applied>> skipped =
      store_.apply_all({{.stream = batch.stream, .from = batch.from, .to = batch.to}});
  const absl::StatusOr<Applied>& result = skipped.front();
  if (!result.ok()) {
    return {.verdict = Verdict::kRetry,
            .committed_offset = committed_offset(batch.stream),
            .message = std::string(message_of(result.status()))};
  }
  if (const Verdict verdict = verdict_of(result->result); verdict != Verdict::kOk) {
    return {.verdict = verdict,
            .committed_offset = result->committed_offset,
            .message = message_of_verdict(batch, verdict, result->committed_offset)};
  }
  return {.verdict = Verdict::kInvalid,
          .committed_offset = result->committed_offset,
          .message = std::move(message)};
}

void Intake::tell(const Batch& batch, const Parsed& parsed, std::uint64_t first_new) {
  const AttemptId& attempt = batch.stream.attempt;
  std::uint64_t events = 0;
  std::uint64_t points = 0;
  const bool measured = batch.stream.kind == StreamKind::kNode;
  for (const SpooledEvent& event : parsed.events) {
    if (event.offset < first_new) continue;
    ++events;
    if (measured || batch.stream.rank == 0) {  // other ranks' are not kept
      points += static_cast<std::uint64_t>(event.event.metrics().values_size());
    }
    if (measured) continue;
    switch (event.event.kind_case()) {
      case v1::Event::kReady:
        observer_.on_ready(attempt, batch.stream.rank, event.event.ready());
        break;
      case v1::Event::kProgress:
        if (batch.stream.rank == 0) observer_.on_progress(attempt, event.event.progress());
        break;
      case v1::Event::kFinished:
        observer_.on_finished(attempt, batch.stream.rank, event.event.finished());
        break;
      default:
        break;
    }
  }
  events_.fetch_add(events, std::memory_order_relaxed);
  points_.fetch_add(points, std::memory_order_relaxed);
}

// Where the sender should go on; 0, which is always right, when the store cannot even say that.
std::uint64_t Intake::committed_offset(const storage::StreamKey& stream) const {
  const absl::StatusOr<std::uint64_t> offset = store_.committed_offset(stream);
  return offset.ok() ? *offset : 0;
}

}  // namespace lctl::ingest
