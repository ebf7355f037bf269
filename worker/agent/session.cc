#include "worker/agent/session.h"

#include <fmt/format.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <random>
#include <utility>

#include "base/boot_time.h"
#include "base/log.h"
#include "base/status.h"
#include "worker/agent/connection.h"

namespace lctl::agent {
namespace {

constexpr std::int64_t kFirstPauseMs = 100;
constexpr std::int64_t kLongestPauseMs = 5000;
constexpr std::chrono::seconds kFarewellPatience{1};
constexpr std::int64_t kLongestLeaseMs = 86'400'000;
constexpr std::size_t kMaxUnanswered = 1000;  // heartbeats; further back none is remembered

absl::Status to_status(const grpc::Status& status) {
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

}  // namespace

Session::Session(std::shared_ptr<grpc::Channel> channel, Callbacks callbacks,
                 std::shared_ptr<Cancellation> partition)
    : channel_(std::move(channel)),
      stub_(v1::NodeSession::NewStub(channel_)),
      callbacks_(std::move(callbacks)),
      partition_(std::move(partition)),
      thread_([this] { run(); }) {}

Session::~Session() { stop(); }

void Session::stop() {
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    // What was queued is sent and the stream closed in order, if that is a matter of moments.
    changed_.wait_for(lock, kFarewellPatience, [&] { return context_ == nullptr; });
    if (context_ != nullptr) context_->TryCancel();
  }
  if (thread_.joinable()) thread_.join();
}

bool Session::send(v1::AgentMessage message) {
  {
    const std::lock_guard lock(mutex_);
    if (!registered_ || stopping_) return false;
    outgoing_.push_back(std::move(message));
  }
  changed_.notify_all();
  return true;
}

SessionView Session::view() {
  const std::lock_guard lock(mutex_);
  return {.registered = registered_, .registrations = registrations_, .failures = failures_};
}

void Session::run() {
  std::minstd_rand random(std::random_device{}());
  std::int64_t pause_ms = kFirstPauseMs;
  std::string last_error;
  while (true) {
    const absl::Status status = run_once();
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    ++failures_;
    if (std::exchange(registered_, false)) {
      pause_ms = kFirstPauseMs;
      last_error.clear();
    }
    // One line per kind of trouble, not one per try.
    if (std::string text(message_of(status)); text != last_error) {
      logger("session").warn("no connection to the server: {}; trying again", text);
      last_error = std::move(text);
    }
    lock.unlock();
    const std::chrono::milliseconds jittered(pause_ms / 2 +
                                             static_cast<std::int64_t>(random()) % pause_ms);
    pause_between_tries(*channel_, jittered, [this] { return stopping(); });
    pause_ms = std::min(2 * pause_ms, kLongestPauseMs);
  }
}

bool Session::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

absl::Status Session::run_once() {
  grpc::ClientContext context;
  const Cancellation::Call call(*partition_, context);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return absl::CancelledError("stopping");
    context_ = &context;
    stream_over_ = false;
    outgoing_.clear();
    unanswered_ = {{0, time_since_boot()}};
  }
  const auto stream = stub_->Session(&context);
  v1::AgentMessage first;
  *first.mutable_register_() = callbacks_.registration();
  std::thread writer;
  std::string refusal;
  if (stream->Write(first)) {
    writer = std::thread([&] { write_loop(*stream); });
    v1::ServerMessage message;
    while (stream->Read(&message)) {
      if (message.has_refused()) refusal = message.refused().reason();
      if (!handle(message)) break;
    }
  }
  {
    const std::lock_guard lock(mutex_);
    stream_over_ = true;
  }
  changed_.notify_all();
  context.TryCancel();
  if (writer.joinable()) writer.join();
  const absl::Status status = to_status(stream->Finish());
  {
    const std::lock_guard lock(mutex_);
    context_ = nullptr;
  }
  changed_.notify_all();
  if (!refusal.empty())
    return absl::FailedPreconditionError("the server refused this node: " + refusal);
  return status.ok() ? absl::UnavailableError("the server ended the session") : status;
}

// False ends the stream.
bool Session::handle(const v1::ServerMessage& message) {
  if (message.has_refused()) return false;
  if (message.has_registered()) {
    {
      const std::lock_guard lock(mutex_);
      registered_ = true;
      ++registrations_;
      heartbeat_interval_ms_ =
          std::clamp<std::int64_t>(message.registered().heartbeat_interval_ms(), 10, 60'000);
      lease_ = std::chrono::milliseconds(
          std::clamp<std::int64_t>(message.registered().lease_ms(), 0, kLongestLeaseMs));
    }
    changed_.notify_all();
    answered(0);  // before anything that this server says
    logger("session").info("registered with lctl-server {}", message.registered().server_version());
    callbacks_.on_connected();
    return true;
  }
  if (message.has_heartbeat_ack()) {
    answered(message.heartbeat_ack().sequence());
  } else {
    callbacks_.on_message(message);
  }
  return true;
}

// Everything up to that number. What counts is when it was sent: the answer may have been long on
// its way.
void Session::answered(std::uint64_t sequence) {
  std::chrono::nanoseconds sent{};
  Duration lease{};
  {
    const std::lock_guard lock(mutex_);
    const auto beyond = unanswered_.upper_bound(sequence);
    if (beyond == unanswered_.begin()) return;
    sent = std::prev(beyond)->second;
    unanswered_.erase(unanswered_.begin(), beyond);
    lease = lease_;
  }
  callbacks_.on_heard(sent, lease);
}

void Session::write_loop(grpc::ClientReaderWriter<v1::AgentMessage, v1::ServerMessage>& stream) {
  using Clock = std::chrono::steady_clock;  // a type for waiting; nothing is read from it here
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return registered_ || stream_over_ || stopping_; });
  std::uint64_t sequence = 0;
  MonotonicTime next_beat = system_clock().monotonic_now();
  while (!stream_over_) {
    v1::AgentMessage message;
    if (!outgoing_.empty()) {
      message = std::move(outgoing_.front());
      outgoing_.pop_front();
    } else if (stopping_) {
      lock.unlock();
      stream.WritesDone();
      return;
    } else if (const MonotonicTime now = system_clock().monotonic_now(); now >= next_beat) {
      next_beat = now + std::chrono::milliseconds(heartbeat_interval_ms_);
      lock.unlock();
      *message.mutable_heartbeat() = callbacks_.heartbeat();
      message.mutable_heartbeat()->set_sequence(++sequence);
      lock.lock();
      if (unanswered_.size() == kMaxUnanswered) unanswered_.erase(unanswered_.begin());
      unanswered_.emplace(sequence, time_since_boot());
    } else {
      changed_.wait_until(lock, std::chrono::time_point_cast<Clock::duration>(next_beat),
                          [&] { return stream_over_ || stopping_ || !outgoing_.empty(); });
      continue;
    }
    lock.unlock();
    if (!stream.Write(message)) return;
    lock.lock();
  }
}

}  // namespace lctl::agent
