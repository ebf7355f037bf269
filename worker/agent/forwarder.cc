#include "worker/agent/forwarder.h"

#include <fmt/format.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <vector>

#include "base/log.h"
#include "worker/agent/connection.h"

namespace lctl::agent {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLookPause{1000};      // between looks at watched files
constexpr milliseconds kPollPause{100};       // between looks where there is no watch
constexpr milliseconds kFirstHoldPause{200};  // after a RETRY or a failed read; doubles
constexpr milliseconds kLongestHoldPause{5000};
constexpr milliseconds kFirstReconnectPause{100};
constexpr milliseconds kLongestReconnectPause{5000};
constexpr v1::StreamKind kKinds[] = {v1::STREAM_KIND_EVENTS, v1::STREAM_KIND_STDOUT,
                                     v1::STREAM_KIND_STDERR, v1::STREAM_KIND_NODE};

AttemptId attempt_of(const v1::StreamId& stream) {
  return {JobId(stream.job_id()), stream.attempt()};
}

}  // namespace

Forwarder::Forwarder(std::shared_ptr<grpc::Channel> channel, Callbacks callbacks,
                     std::shared_ptr<Cancellation> partition)
    : channel_(std::move(channel)),
      stub_(v1::Ingest::NewStub(channel_)),
      callbacks_(std::move(callbacks)),
      partition_(std::move(partition)),
      watch_({"events.log", "stdout", "stderr", "node.log"}, [this] { wake_up(); }),
      thread_([this] { run(); }) {}

Forwarder::~Forwarder() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (context_ != nullptr) context_->TryCancel();
  }
  changed_.notify_all();
  thread_.join();
}

void Forwarder::wake_up() {
  {
    const std::lock_guard lock(mutex_);
    changes_ = true;
  }
  changed_.notify_all();
}

void Forwarder::add(const AttemptId& attempt, int rank, const RunFolder& folder,
                    const v1::JobSpec& spec) {
  auto entry = std::make_unique<Entry>(
      RankTail(
          attempt, rank, folder, spec.log_policies(),
          [this, attempt, rank](const v1::CheckpointWritten& written, std::int64_t time_us) {
            callbacks_.on_checkpoint(attempt, rank, written, time_us);
          },
          [this, attempt, rank](int policy, const std::string& line) {
            callbacks_.on_log_match(attempt, rank, policy, line);
          }),
      folder.rank(rank));
  const bool watched = watch_.add(entry->folder);
  {
    const std::lock_guard lock(mutex_);
    if (!watched && !std::exchange(unwatched_, true)) {
      logger("forwarder")
          .warn("{} cannot be watched (see fs.inotify.max_user_watches); its files are polled",
                entry->folder.string());
    }
    entries_.try_emplace({attempt, rank}, std::move(entry));
  }
  wake_up();
}

void Forwarder::process_ended(const AttemptId& attempt, int rank) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find({attempt, rank});
    if (found != entries_.end()) found->second->tail.process_ended();
  }
  wake_up();
}

void Forwarder::remove(const AttemptId& attempt) {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const auto& entry) {
    if (entry.first.first != attempt) return false;
    watch_.remove(entry.second->folder);
    return true;
  });
}

ForwarderView Forwarder::view() {
  const std::lock_guard lock(mutex_);
  ForwarderView view{.forwarded_bytes = forwarded_bytes_, .failures = failures_};
  for (const auto& [key, entry] : entries_) view.waiting_bytes += entry->tail.waiting_bytes();
  return view;
}

void Forwarder::run() {
  std::minstd_rand random(std::random_device{}());
  milliseconds pause = kFirstReconnectPause;
  while (true) {
    const MonotonicTime begun = system_clock().monotonic_now();
    run_stream();
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    ++failures_;
    // One that lasted was good: its end is a new trouble, not a repeated one.
    if (system_clock().monotonic_now() - begun > 2 * kLongestReconnectPause)
      pause = kFirstReconnectPause;
    if (pause == kFirstReconnectPause) {
      logger("forwarder").info("the ingest stream ended; what ranks write is kept and sent later");
    }
    lock.unlock();
    const milliseconds jittered(pause.count() / 2 +
                                static_cast<std::int64_t>(random()) % pause.count());
    pause_between_tries(*channel_, jittered, [this] { return stopping(); });
    pause = std::min(2 * pause, kLongestReconnectPause);
  }
}

bool Forwarder::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void Forwarder::run_stream() {
  grpc::ClientContext context;
  const Cancellation::Call call(*partition_, context);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    context_ = &context;
    stream_over_ = false;
    changes_ = true;
    for (auto& [key, entry] : entries_) entry->tail.rewind();
  }
  const std::unique_ptr<Stream> stream = stub_->Stream(&context);
  std::thread reader([&] { read_acks(*stream); });
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      changes_ = false;  // what comes from here on is for the next round
    }
    if (!send_all(*stream)) break;
    tell_forwarded();
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, idle_pause(system_clock().monotonic_now()),
                      [&] { return changes_ || stream_over_ || stopping_; });
    if (stream_over_ || stopping_) break;
  }
  context.TryCancel();
  reader.join();
  stream->Finish();
  const std::lock_guard lock(mutex_);
  context_ = nullptr;
}

// How long nothing needs to be looked at when nobody calls. Under mutex_.
Duration Forwarder::idle_pause(MonotonicTime now) const {
  Duration pause = unwatched_ ? kPollPause : kLookPause;
  for (const auto& [key, entry] : entries_) {
    if (entry->not_before > now) pause = std::min(pause, entry->not_before - now);
  }
  return pause;
}

// Under mutex_.
void Forwarder::hold_back(Entry& entry) {
  const MonotonicTime now = system_clock().monotonic_now();
  if (entry.not_before > now) return;  // batches that were under way are refused one by one
  entry.pause = std::clamp<Duration>(2 * entry.pause, kFirstHoldPause, kLongestHoldPause);
  entry.not_before = now + entry.pause;
}

std::optional<v1::IngestBatch> Forwarder::next_batch(const Key& key, v1::StreamKind kind) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  Entry& entry = *found->second;
  if (entry.not_before > system_clock().monotonic_now()) return std::nullopt;
  absl::StatusOr<std::optional<v1::IngestBatch>> batch =
      entry.tail.next_batch(kind, unix_micros(system_clock().wall_now()));
  if (batch.ok()) return *std::move(batch);
  hold_back(entry);
  if (std::string text(message_of(batch.status())); text != entry.last_error) {
    logger("forwarder").error("{} rank {}: {}", key.first.str(), key.second, text);
    entry.last_error = std::move(text);
  }
  return std::nullopt;
}

// False when the stream is broken.
bool Forwarder::send_all(Stream& stream) {
  std::vector<Key> keys;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, entry] : entries_) keys.push_back(key);
  }
  for (const Key& key : keys) {
    for (const v1::StreamKind kind : kKinds) {
      while (const std::optional<v1::IngestBatch> batch = next_batch(key, kind)) {
        if (!stream.Write(*batch)) return false;
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
      Entry& entry = *found->second;
      const std::uint64_t before = entry.tail.acknowledged_bytes();
      fenced = !entry.tail.acknowledge(ack);
      // Less after a gap: those bytes are sent again.
      forwarded_bytes_ += std::max(before, entry.tail.acknowledged_bytes()) - before;
      if (ack.result() == v1::IngestAck::RESULT_OK) {
        entry.pause = Duration{0};
        entry.last_error.clear();
      } else if (ack.result() == v1::IngestAck::RESULT_RETRY) {
        hold_back(entry);
        if (ack.message() != entry.last_error) {
          logger("forwarder")
              .warn("{}: the server cannot store now: {}; trying again", attempt.str(),
                    ack.message());
          entry.last_error = ack.message();
        }
      }
    }
    if (fenced) {
      logger("forwarder").warn("{}: refused by the server: {}", attempt.str(), ack.message());
      remove(attempt);
      callbacks_.on_fenced(attempt);
    }
    wake_up();
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
