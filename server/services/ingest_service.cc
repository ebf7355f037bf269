#include "server/services/ingest_service.h"

#include <thread>
#include <utility>
#include <vector>

#include "server/services/batch_queue.h"

namespace lctl::services {
namespace {

using AckStream = grpc::ServerReaderWriter<v1::IngestAck, v1::IngestBatch>;

// Views into `batch`, which must outlive it.
ingest::Batch view_of(const v1::IngestBatch& batch) {
  const v1::StreamId& id = batch.stream();
  ingest::Batch view{.stream = {{JobId(id.job_id()), id.attempt()},
                                id.rank(),
                                static_cast<storage::StreamKind>(id.kind())},
                     .from = batch.from_offset(),
                     .to = batch.to_offset(),
                     .time_us = batch.time_us(),
                     .events = {},
                     .text = batch.text()};
  view.events.reserve(static_cast<std::size_t>(batch.events_size()));
  for (const v1::SpooledEvent& event : batch.events()) {
    view.events.push_back({event.offset(), event.end_offset(), event.event()});
  }
  return view;
}

v1::IngestAck::Result result_of(ingest::Verdict verdict) {
  switch (verdict) {
    case ingest::Verdict::kOk:
      return v1::IngestAck::RESULT_OK;
    case ingest::Verdict::kGap:
      return v1::IngestAck::RESULT_GAP;
    case ingest::Verdict::kFenced:
      return v1::IngestAck::RESULT_FENCED;
    case ingest::Verdict::kInvalid:
      return v1::IngestAck::RESULT_INVALID;
    case ingest::Verdict::kRetry:
      return v1::IngestAck::RESULT_RETRY;
  }
  return v1::IngestAck::RESULT_UNSPECIFIED;
}

// Applies what gathers in the queue until it is closed or the client is gone.
void apply_all(BatchQueue& queue, ingest::Intake& intake, AckStream& stream) {
  while (true) {
    const std::vector<v1::IngestBatch> batches = queue.pop_all();
    if (batches.empty()) return;
    std::vector<ingest::Batch> views;
    views.reserve(batches.size());
    for (const v1::IngestBatch& batch : batches) views.push_back(view_of(batch));
    const std::vector<ingest::Outcome> outcomes = intake.apply(views);
    for (std::size_t i = 0; i < batches.size(); ++i) {
      v1::IngestAck ack;
      *ack.mutable_stream() = batches[i].stream();
      ack.set_committed_offset(outcomes[i].committed_offset);
      ack.set_result(result_of(outcomes[i].verdict));
      ack.set_message(outcomes[i].message);
      if (!stream.Write(ack)) {
        queue.close();
        return;
      }
    }
  }
}

}  // namespace

grpc::Status IngestService::Stream(grpc::ServerContext* context, AckStream* stream) {
  const OpenCall call(calls_, *context);
  BatchQueue queue;
  std::thread applier([&] { apply_all(queue, intake_, *stream); });
  v1::IngestBatch batch;
  while (stream->Read(&batch) && queue.push(std::move(batch))) batch.Clear();
  queue.close();
  applier.join();
  if (call.cancelled()) return {grpc::StatusCode::CANCELLED, "the stream was ended"};
  return grpc::Status::OK;
}

}  // namespace lctl::services
