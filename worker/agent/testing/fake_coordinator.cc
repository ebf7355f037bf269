#include "worker/agent/testing/fake_coordinator.h"

#include <grpcpp/server_builder.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <set>
#include <utility>

#include "proto/lctl/v1/checkpoint.grpc.pb.h"
#include "proto/lctl/v1/ingest.grpc.pb.h"
#include "proto/lctl/v1/session.grpc.pb.h"
#include "worker/agent/content_hash.h"

namespace lctl::agent {
namespace {

constexpr std::chrono::seconds kPatience{60};
constexpr std::size_t kDownloadPiece = 64 << 10;

Received::RankName name_of(const v1::RankReport& report) {
  return {report.job_id(), report.attempt(), report.rank()};
}
Received::RankName name_of(const v1::StreamId& stream) {
  return {stream.job_id(), stream.attempt(), stream.rank()};
}

std::string hash_of(std::string_view bytes) {
  ContentHash hash;
  hash.update(bytes);
  return hash.hex();
}

// Everything that the services share.
struct State {
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  // State below is protected by mutex.
  Received received;
  std::set<grpc::ServerContext*> sessions;
  std::set<grpc::ServerContext*> ingests;
  grpc::ServerReaderWriter<v1::ServerMessage, v1::AgentMessage>* node = nullptr;
  std::string refusal;
  std::chrono::milliseconds lease{0};
  bool ignore_heartbeats = false;
  bool withhold = false;
  v1::IngestAck::Result answer = v1::IngestAck::RESULT_OK;
  int answers_left = 0;
  grpc::StatusCode commit_code = grpc::StatusCode::OK;
  int commits_to_fail = 0;
  grpc::StatusCode chunk_code = grpc::StatusCode::OK;
  int chunks_to_fail = 0;
  std::map<std::string, std::string> chunks;
  std::map<std::string, std::pair<std::string, std::int64_t>> downloads;
  int corrupt = 0;  // downloads to come
  bool stall = false;
  int stalled = 0;
  bool down = false;
};

// Applies the part of the batch that is new. The offsets are the contract's, so a daemon that mixes
// them up leaves a hole or a repetition in what the test compares.
v1::IngestAck apply(const v1::IngestBatch& batch, Received& received) {
  Received::Rank& rank = received.ranks[name_of(batch.stream())];
  std::uint64_t& committed = rank.committed[batch.stream().kind()];
  v1::IngestAck ack;
  *ack.mutable_stream() = batch.stream();
  ack.set_result(v1::IngestAck::RESULT_OK);
  if (batch.from_offset() > committed) {
    ack.set_result(v1::IngestAck::RESULT_GAP);
  } else if (batch.to_offset() <= committed) {
    ++received.repeated_batches;
  } else if (batch.stream().kind() == v1::STREAM_KIND_EVENTS ||
             batch.stream().kind() == v1::STREAM_KIND_NODE) {
    const bool measured = batch.stream().kind() == v1::STREAM_KIND_NODE;
    for (const v1::SpooledEvent& spooled : batch.events()) {
      v1::Event event;
      if (spooled.offset() < committed || !event.ParseFromString(spooled.event())) continue;
      (measured ? rank.measured : rank.events).push_back(std::move(event));
    }
    committed = batch.to_offset();
  } else {
    std::string& text = batch.stream().kind() == v1::STREAM_KIND_STDOUT ? rank.out : rank.err;
    text += batch.text().substr(committed - batch.from_offset());
    committed = batch.to_offset();
  }
  ack.set_committed_offset(committed);
  return ack;
}

class SessionFake final : public v1::NodeSession::Service {
 public:
  explicit SessionFake(State& state) : state_(state) {}

  grpc::Status Session(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::ServerMessage, v1::AgentMessage>* stream) override {
    {
      const std::lock_guard lock(state_.mutex);
      state_.sessions.insert(context);
    }
    v1::AgentMessage message;
    while (stream->Read(&message) && take(message, stream)) {
    }
    const std::lock_guard lock(state_.mutex);
    state_.sessions.erase(context);
    if (state_.node == stream) state_.node = nullptr;
    state_.changed.notify_all();
    return grpc::Status::OK;
  }

 private:
  bool take(const v1::AgentMessage& message,
            grpc::ServerReaderWriter<v1::ServerMessage, v1::AgentMessage>* stream) {
    const std::lock_guard lock(state_.mutex);
    Received& received = state_.received;
    v1::ServerMessage answer;
    if (message.has_register_()) {
      received.registrations.push_back(message.register_());
      for (const v1::RankReport& report : message.register_().ranks()) {
        received.ranks[name_of(report)].reports.push_back(report);
      }
      if (!state_.refusal.empty()) {
        answer.mutable_refused()->set_reason(state_.refusal);
        stream->Write(answer);
        state_.changed.notify_all();
        return false;
      }
      answer.mutable_registered()->set_heartbeat_interval_ms(50);
      answer.mutable_registered()->set_lost_after_ms(1000);
      answer.mutable_registered()->set_lease_ms(state_.lease.count());
      answer.mutable_registered()->set_server_version("fake");
      stream->Write(answer);
      state_.node = stream;
    } else if (message.has_device_faults()) {
      received.device_faults.push_back(message.device_faults());
    } else if (message.has_heartbeat()) {
      ++received.heartbeats;
      answer.mutable_heartbeat_ack()->set_sequence(message.heartbeat().sequence());
      if (!state_.ignore_heartbeats) stream->Write(answer);
    } else if (message.has_rank_report()) {
      received.ranks[name_of(message.rank_report())].reports.push_back(message.rank_report());
    } else if (message.has_rendezvous_ready()) {
      received.rendezvous.push_back(message.rendezvous_ready());
    } else if (message.has_launch_failed()) {
      received.failed_launches.push_back(message.launch_failed());
    } else if (message.has_rank_stalled()) {
      received.stalls.push_back(message.rank_stalled());
    }
    state_.changed.notify_all();
    return true;
  }

  State& state_;
};

class IngestFake final : public v1::Ingest::Service {
 public:
  explicit IngestFake(State& state) : state_(state) {}

  grpc::Status Stream(grpc::ServerContext* context,
                      grpc::ServerReaderWriter<v1::IngestAck, v1::IngestBatch>* stream) override {
    {
      const std::lock_guard lock(state_.mutex);
      state_.ingests.insert(context);
    }
    v1::IngestBatch batch;
    while (stream->Read(&batch)) {
      v1::IngestAck ack;
      bool answer = true;
      {
        const std::lock_guard lock(state_.mutex);
        ++state_.received.batches;
        if (state_.answers_left > 0) {
          --state_.answers_left;
          ack = refuse(batch);
        } else {
          ack = apply(batch, state_.received);
          answer = !state_.withhold;
        }
        state_.changed.notify_all();
      }
      if (answer) stream->Write(ack);
    }
    const std::lock_guard lock(state_.mutex);
    state_.ingests.erase(context);
    return grpc::Status::OK;
  }

 private:
  v1::IngestAck refuse(const v1::IngestBatch& batch) {
    Received::Rank& rank = state_.received.ranks[name_of(batch.stream())];
    std::uint64_t& committed = rank.committed[batch.stream().kind()];
    if (state_.answer == v1::IngestAck::RESULT_INVALID)
      committed = std::max(committed, batch.to_offset());
    v1::IngestAck ack;
    *ack.mutable_stream() = batch.stream();
    ack.set_result(state_.answer);
    ack.set_committed_offset(committed);
    ack.set_message("as the test asked");
    return ack;
  }

  State& state_;
};

class CheckpointsFake final : public v1::Checkpoints::Service {
 public:
  explicit CheckpointsFake(State& state) : state_(state) {}

  grpc::Status FindMissing(grpc::ServerContext*, const v1::FindMissingRequest* request,
                           v1::FindMissingResponse* response) override {
    const std::lock_guard lock(state_.mutex);
    for (const std::string& hash : request->sha256()) {
      if (state_.chunks.count(hash) == 0) response->add_sha256(hash);
    }
    return grpc::Status::OK;
  }

  grpc::Status PutChunks(grpc::ServerContext*, grpc::ServerReader<v1::Chunk>* reader,
                         v1::PutChunksResponse*) override {
    v1::Chunk chunk;
    while (reader->Read(&chunk)) {
      const std::lock_guard lock(state_.mutex);
      if (state_.chunks_to_fail > 0) {
        --state_.chunks_to_fail;
        return {state_.chunk_code, "as the test asked"};
      }
      if (hash_of(chunk.data()) != chunk.sha256())
        return {grpc::StatusCode::INVALID_ARGUMENT, "wrong hash"};
      ++state_.received.chunks;
      state_.chunks[chunk.sha256()] = chunk.data();
    }
    return grpc::Status::OK;
  }

  grpc::Status Commit(grpc::ServerContext*, const v1::CommitCheckpointRequest* request,
                      v1::CommitCheckpointResponse* response) override {
    const std::lock_guard lock(state_.mutex);
    state_.changed.notify_all();
    if (state_.commits_to_fail > 0) {
      --state_.commits_to_fail;
      return {state_.commit_code, "as the test asked"};
    }
    std::string content;
    for (const v1::ChunkRef& chunk : request->chunks()) {
      const auto found = state_.chunks.find(chunk.sha256());
      if (found == state_.chunks.end()) return {grpc::StatusCode::ABORTED, "a chunk is missing"};
      content += found->second;
    }
    if (hash_of(content) != request->sha256())
      return {grpc::StatusCode::INVALID_ARGUMENT, "wrong hash"};
    auto& stored = state_.received.checkpoints;
    const bool known = std::any_of(stored.begin(), stored.end(), [&](const Received::Stored& each) {
      return each.commit.written().SerializeAsString() == request->written().SerializeAsString();
    });
    if (!known) stored.push_back({*request, std::move(content)});
    response->set_checkpoint_id("stored");
    return grpc::Status::OK;
  }

  grpc::Status Download(grpc::ServerContext* context, const v1::DownloadRequest* request,
                        grpc::ServerWriter<v1::DownloadChunk>* writer) override {
    std::string content;
    std::int64_t break_after = 0;
    bool corrupt = false;
    bool stall = false;
    {
      const std::lock_guard lock(state_.mutex);
      const auto found = state_.downloads.find(request->checkpoint_id());
      if (found == state_.downloads.end())
        return {grpc::StatusCode::NOT_FOUND, "no such checkpoint"};
      std::tie(content, break_after) = found->second;
      corrupt = state_.corrupt > 0;
      if (corrupt) --state_.corrupt;
      stall = state_.stall;
    }
    v1::DownloadChunk chunk;
    chunk.set_offset(request->offset());
    chunk.set_sha256(corrupt ? std::string(64, '0') : hash_of(content));
    chunk.set_total_size(static_cast<std::int64_t>(content.size()));
    writer->Write(chunk);
    std::int64_t sent = 0;
    for (auto at = static_cast<std::size_t>(request->offset()); at < content.size();) {
      if (break_after > 0 && sent >= break_after)
        return {grpc::StatusCode::UNAVAILABLE, "broken by the test"};
      v1::DownloadChunk piece;
      piece.set_offset(static_cast<std::int64_t>(at));
      piece.set_data(content.substr(at, kDownloadPiece));
      if (!writer->Write(piece)) return grpc::Status::CANCELLED;
      at += piece.data().size();
      sent += static_cast<std::int64_t>(piece.data().size());
      if (stall) return wait_for_the_end(*context);
    }
    return grpc::Status::OK;
  }

 private:
  grpc::Status wait_for_the_end(const grpc::ServerContext& context) {
    std::unique_lock lock(state_.mutex);
    ++state_.stalled;
    state_.changed.notify_all();
    while (!context.IsCancelled() && !state_.down)
      state_.changed.wait_for(lock, std::chrono::milliseconds(10));
    return grpc::Status::CANCELLED;
  }

  State& state_;
};

}  // namespace

struct FakeCoordinator::Services {
  State state;
  SessionFake session{state};
  IngestFake ingest{state};
  CheckpointsFake checkpoints{state};
  int port = 0;
  std::unique_ptr<grpc::Server> server;

  void start() {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(8 << 20);
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&session);
    builder.RegisterService(&ingest);
    builder.RegisterService(&checkpoints);
    server = builder.BuildAndStart();
  }
};

FakeCoordinator::FakeCoordinator() : services_(std::make_unique<Services>()) { services_->start(); }

FakeCoordinator::~FakeCoordinator() { shut_down(); }

std::string FakeCoordinator::address() const {
  return "127.0.0.1:" + std::to_string(services_->port);
}

void FakeCoordinator::shut_down() {
  if (services_->server == nullptr) return;
  {
    const std::lock_guard lock(services_->state.mutex);
    services_->state.down = true;
    services_->state.changed.notify_all();
  }
  services_->server->Shutdown(std::chrono::system_clock::time_point{});  // at once
  services_->server->Wait();
  services_->server.reset();
}

void FakeCoordinator::start_again() {
  services_->state.down = false;
  services_->start();
}

bool FakeCoordinator::send(const v1::ServerMessage& message) {
  const std::lock_guard lock(services_->state.mutex);
  return services_->state.node != nullptr && services_->state.node->Write(message);
}

Received FakeCoordinator::received() const {
  const std::lock_guard lock(services_->state.mutex);
  return services_->state.received;
}

bool FakeCoordinator::wait(const std::function<bool(const Received&)>& condition) const {
  std::unique_lock lock(services_->state.mutex);
  return services_->state.changed.wait_for(lock, kPatience,
                                           [&] { return condition(services_->state.received); });
}

void FakeCoordinator::drop_session() {
  const std::lock_guard lock(services_->state.mutex);
  for (grpc::ServerContext* context : services_->state.sessions) context->TryCancel();
}

void FakeCoordinator::drop_ingest() {
  const std::lock_guard lock(services_->state.mutex);
  for (grpc::ServerContext* context : services_->state.ingests) context->TryCancel();
}

void FakeCoordinator::refuse_registrations(const std::string& reason) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.refusal = reason;
}

void FakeCoordinator::grant_lease(std::chrono::milliseconds length) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.lease = length;
}

void FakeCoordinator::ignore_heartbeats(bool ignore) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.ignore_heartbeats = ignore;
}

void FakeCoordinator::withhold_acks(bool withhold) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.withhold = withhold;
}

void FakeCoordinator::answer_batches(v1::IngestAck::Result result, int times) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.answer = result;
  services_->state.answers_left = times;
}

void FakeCoordinator::fail_commits(int code, int times) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.commit_code = static_cast<grpc::StatusCode>(code);
  services_->state.commits_to_fail = times;
}

void FakeCoordinator::fail_chunks(int code, int times) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.chunk_code = static_cast<grpc::StatusCode>(code);
  services_->state.chunks_to_fail = times;
}

void FakeCoordinator::put_checkpoint(const std::string& id, const std::string& content,
                                     std::int64_t break_after) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.downloads[id] = {content, break_after};
}

void FakeCoordinator::corrupt_downloads(int times) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.corrupt = times;
}

void FakeCoordinator::stall_downloads() {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.stall = true;
}

bool FakeCoordinator::wait_stalled_download() const {
  std::unique_lock lock(services_->state.mutex);
  return services_->state.changed.wait_for(lock, kPatience,
                                           [&] { return services_->state.stalled > 0; });
}

void FakeCoordinator::forget_text_beyond(const Received::RankName& rank, v1::StreamKind kind,
                                         std::uint64_t offset) {
  const std::lock_guard lock(services_->state.mutex);
  Received::Rank& found = services_->state.received.ranks[rank];
  found.committed[kind] = offset;
  (kind == v1::STREAM_KIND_STDOUT ? found.out : found.err).resize(offset);
}

}  // namespace lctl::agent
