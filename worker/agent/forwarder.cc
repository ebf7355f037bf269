#include "worker/agent/forwarder.h"

#include <fmt/format.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/log.h"

namespace lctl::agent {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBusyPause{20};
constexpr milliseconds kIdlePause{100};
constexpr milliseconds kRetryPause{500};
constexpr milliseconds kReconnectPause{250};
constexpr v1::StreamKind kKinds[] = {v1::STREAM_KIND_EVENTS, v1::STREAM_KIND_STDOUT, v1::STREAM_KIND_STDERR};

AttemptId attempt_of(const v1::StreamId& stream) { return {JobId(stream.job_id()), stream.attempt()}; }

}  // namespace

Forwarder::Forwarder(std::shared_ptr<grpc::Channel> channel, Callbacks callbacks)
    : stub_(v1::Ingest::NewStub(channel)), callbacks_(std::move(callbacks)), thread_([this] { run(); }) {}

Forwarder::~Forwarder() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (context_ != nullptr) context_->TryCancel();
  }
  changed_.notify_all();
  thread_.join();
}

void Forwarder::add(const AttemptId& attempt, int rank, const RunFolder& folder) {
  auto entry = std::make_unique<Entry>(
      RankTail(attempt, rank, folder, [this, attempt, rank](const v1::CheckpointWritten& written, std::int64_t time_us) {
        callbacks_.on_checkpoint(attempt, rank, written, time_us);
      }));
  {
    const std::lock_guard lock(mutex_);
    entries_.try_emplace({attempt, rank}, std::move(entry));
  }
  changed_.notify_all();
}

void Forwarder::process_ended(const AttemptId& attempt, int rank) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find({attempt, rank});
    if (found != entries_.end()) found->second->tail.process_ended();
  }
  changed_.notify_all();
}

void Forwarder::remove(const AttemptId& attempt) {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const auto& entry) { return entry.first.first == attempt; });
}

void Forwarder::run() {
  bool warned = false;
  while (true) {
    run_stream();
    std::unique_lock lock(mutex_);
    if (!stopping_ && !std::exchange(warned, true)) {
      logger("forwarder").info("the ingest stream ended; what ranks write is kept and sent later");
    }
    changed_.wait_for(lock, kReconnectPause, [&] { return stopping_; });
    if (stopping_) return;
  }
}

void Forwarder::run_stream() {
  grpc::ClientContext context;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    context_ = &context;
    stream_over_ = false;
    for (auto& [key, entry] : entries_) entry->tail.rewind();
  }
  const std::unique_ptr<Stream> stream = stub_->Stream(&context);
  std::thread reader([&] { read_acks(*stream); });
  milliseconds pause = kBusyPause;
  while (true) {
    bool sent = false;
    if (!send_all(*stream, &sent)) break;
    tell_forwarded();
    pause = sent ? kBusyPause : std::min(kIdlePause, pause + milliseconds(10));
    std::unique_lock lock(mutex_);
    if (stream_over_ || stopping_) break;
    changed_.wait_for(lock, pause);
    if (stream_over_ || stopping_) break;
  }
  context.TryCancel();
  reader.join();
  stream->Finish();
  const std::lock_guard lock(mutex_);
  context_ = nullptr;
}

// False when the stream is broken.
bool Forwarder::send_all(Stream& stream, bool* sent) {
  const MonotonicTime now = system_clock().monotonic_now();
  const std::int64_t now_us = unix_micros(system_clock().wall_now());
  std::vector<Key> keys;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, entry] : entries_) keys.push_back(key);
  }
  for (const Key& key : keys) {
    for (const v1::StreamKind kind : kKinds) {
      while (true) {
        absl::StatusOr<std::optional<v1::IngestBatch>> batch = std::nullopt;
        {
          const std::lock_guard lock(mutex_);
          const auto found = entries_.find(key);
          if (found == entries_.end() || found->second->not_before > now) break;
          batch = found->second->tail.next_batch(kind, now_us);
        }
        if (!batch.ok()) {
          logger("forwarder").error("{} rank {}: {}", key.first.str(), key.second, message_of(batch.status()));
          break;
        }
        if (!batch->has_value()) break;
        *sent = true;
        if (!stream.Write(**batch)) return false;
      }
    }
  }
  return true;
}

void Forwarder::read_acks(Stream& stream) {
  v1::IngestAck ack;
  while (stream.Read(&ack)) {
    const AttemptId attempt = attempt_of(ack.stream());
    bool fenced = false;
    {
      const std::lock_guard lock(mutex_);
      const auto found = entries_.find({attempt, ack.stream().rank()});
      if (found == entries_.end()) continue;
      fenced = !found->second->tail.acknowledge(ack);
      if (ack.result() == v1::IngestAck::RESULT_RETRY) {
        found->second->not_before = system_clock().monotonic_now() + kRetryPause;
      }
    }
    if (fenced) {
      logger("forwarder").warn("{}: refused by the server: {}", attempt.str(), ack.message());
      remove(attempt);
      callbacks_.on_fenced(attempt);
    }
    changed_.notify_all();
  }
  {
    const std::lock_guard lock(mutex_);
    stream_over_ = true;
  }
  changed_.notify_all();
}

void Forwarder::tell_forwarded() {
  std::vector<Key> done;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [key, entry] : entries_) {
      if (entry->told || !entry->tail.drained()) continue;
      entry->told = true;
      done.push_back(key);
    }
  }
  for (const Key& key : done) callbacks_.on_forwarded(key.first, key.second);
}

}  // namespace lctl::agent
