// The node's stream to the coordinator: opened, kept alive, opened again.
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/status.h"
#include "proto/lctl/v1/session.grpc.pb.h"
#include "worker/agent/agent_view.h"
#include "worker/agent/cancellation.h"

namespace grpc {
class ClientContext;
}

namespace lctl::agent {

// Registers with what `registration` returns at that moment, heartbeats at the interval that the
// server asks for, and reconnects with growing, jittered pauses (100 ms to 5 s) for ever. Callbacks
// come on the session's own threads: post from them. Thread rule: internally locked.
class Session {
 public:
  struct Callbacks {
    std::function<v1::Register()> registration;
    std::function<v1::Heartbeat()> heartbeat;                  // `sequence` is filled in here
    std::function<void(const v1::ServerMessage&)> on_message;  // launches, stops, forgets
    std::function<void()> on_connected;                        // Registered came
    // The server has answered what was sent at `sent` (time_since_boot()), and grants so much from
    // then on; zero = no bound.
    std::function<void(std::chrono::nanoseconds sent, Duration lease)> on_heard;
  };

  Session(std::shared_ptr<grpc::Channel> channel, Callbacks callbacks,
          std::shared_ptr<Cancellation> partition = std::make_shared<Cancellation>());
  ~Session();

  // Ends the stream and the threads; send() refuses from then on. Idempotent.
  void stop();

  // Queues a message; false when there is no registered stream (the next registration tells it
  // all).
  bool send(v1::AgentMessage message);

  SessionView view();

 private:
  void run();
  bool stopping();
  absl::Status run_once();
  void write_loop(grpc::ClientReaderWriter<v1::AgentMessage, v1::ServerMessage>& stream);
  bool handle(const v1::ServerMessage& message);
  void answered(std::uint64_t sequence);

  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::NodeSession::Stub> stub_;
  const Callbacks callbacks_;
  const std::shared_ptr<Cancellation> partition_;

  std::mutex mutex_;
  // State below is protected by mutex_.
  std::condition_variable changed_;
  std::deque<v1::AgentMessage> outgoing_;
  grpc::ClientContext* context_ = nullptr;  // of the open stream
  bool registered_ = false;
  bool stream_over_ = false;
  bool stopping_ = false;
  std::int64_t heartbeat_interval_ms_ = 2000;
  Duration lease_{};  // that the server grants
  // When what has not been answered yet was sent: the registration (0), then heartbeats.
  std::map<std::uint64_t, std::chrono::nanoseconds> unanswered_;
  std::uint64_t registrations_ = 0;
  std::uint64_t failures_ = 0;

  std::thread thread_;
};

}  // namespace lctl::agent
