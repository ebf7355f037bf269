#include "tests/simulation/transport.h"

#include <fmt/format.h>

#include "tests/simulation/simulated_node.h"
#include "tests/simulation/simulated_server.h"

namespace lctl::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// An end that hears nothing pings, and gives up (gRPC's keepalive, worker/agent/connection.cc).
constexpr Duration kGivesUpAfter = seconds(15);
constexpr Duration kCallPatience = seconds(10);

}  // namespace

void Transport::server_up(SimulatedServer& server) {
  server_ = &server;
  ++server_life_;
}

void Transport::server_down() {
  server_ = nullptr;
  for (const StreamPtr& stream : std::vector<StreamPtr>(streams_)) {
    stream->server_open = false;
    tell_node(stream);
  }
}

StreamPtr Transport::open(std::size_t node, StreamKind kind) {
  std::erase_if(streams_,
                [](const StreamPtr& each) { return !each->node_open && !each->server_open; });
  auto stream = std::make_shared<Stream>();
  stream->number = ++opened_;
  stream->node = node;
  stream->kind = kind;
  streams_.push_back(stream);
  return stream;
}

void Transport::carry(std::size_t node, Link& link, std::string what, std::function<void()> deliver,
                      bool once) {
  auto times = link.arrivals(queue_.monotonic_now(), weather_[node], random_);
  if (once && times.size() > 1) times.pop_back();
  for (const MonotonicTime time : times) {
    queue_.at(time, [this, node, what, deliver] { arrive(node, what, deliver); });
  }
}

// What was under way when a partition began arrives behind it.
void Transport::arrive(std::size_t node, std::string what, std::function<void()> deliver) {
  if (weather_[node].held_until > queue_.monotonic_now()) {
    queue_.at(weather_[node].held_until,
              [this, node, what, deliver] { arrive(node, what, deliver); });
    return;
  }
  trace_.add(queue_.elapsed(), what);
  deliver();
}

void Transport::up(const StreamPtr& stream, std::string what, ToServer deliver) {
  if (!stream->node_open) return;
  const bool was_cut = stream->up.is_cut();
  carry(stream->node, stream->up,
        fmt::format("node {} → server, stream {}: {}", stream->node, stream->number, what),
        [this, stream, deliver = std::move(deliver)] {
          if (stream->up.is_cut() && !stream->node_open) return;  // a reset
          if (server_ == nullptr) {
            tell_node(stream);
            return;
          }
          if (stream->server_life == 0) stream->server_life = server_life_;
          if (stream->server_life != server_life_ || !stream->server_open) return;
          deliver(*server_);
        });
  if (!was_cut && stream->up.is_cut()) give_up_later(stream);
}

void Transport::down(const StreamPtr& stream, std::string what, ToNode deliver, bool once) {
  if (!stream->server_open) return;
  const bool was_cut = stream->down.is_cut();
  carry(
      stream->node, stream->down,
      fmt::format("server → node {}, stream {}: {}", stream->node, stream->number, what),
      [this, stream, deliver = std::move(deliver)] {
        if (stream->node_open) deliver(*nodes_[stream->node]);
      },
      once);
  if (!was_cut && stream->down.is_cut()) give_up_later(stream);
}

// Something was lost for good: both ends find the stream dead after some time.
void Transport::give_up_later(const StreamPtr& stream) {
  queue_.after(random_.between(milliseconds(1), kGivesUpAfter), [this, stream] {
    stream->up.cut();
    stream->down.cut();
    tell_node(stream);
    tell_server(stream);
  });
}

void Transport::tell_node(const StreamPtr& stream) {
  queue_.after(random_.between(milliseconds(1), milliseconds(50)), [this, stream] {
    if (!std::exchange(stream->node_open, false)) return;
    trace_.add(queue_.elapsed(),
               fmt::format("stream {} has ended for node {}", stream->number, stream->node));
    nodes_[stream->node]->stream_ended(stream);
  });
}

void Transport::tell_server(const StreamPtr& stream) {
  queue_.after(random_.between(milliseconds(1), milliseconds(50)), [this, stream] {
    if (!std::exchange(stream->server_open, false)) return;
    if (server_ == nullptr || stream->server_life != server_life_) return;
    trace_.add(queue_.elapsed(), fmt::format("stream {} has ended for the server", stream->number));
    server_->stream_ended(stream);
  });
}

void Transport::close_by_node(const StreamPtr& stream, bool in_order) {
  if (!stream->node_open) return;
  if (in_order) {
    up(stream, "end", [this, stream](SimulatedServer&) { tell_server(stream); });
  } else {
    tell_server(stream);
  }
  stream->node_open = false;
}

void Transport::close_by_server(const StreamPtr& stream) {
  if (!stream->server_open) return;
  down(stream, "end", [this, stream](SimulatedNode&) { tell_node(stream); });
  tell_server(stream);
}

void Transport::reset(std::size_t node) {
  for (const StreamPtr& stream : std::vector<StreamPtr>(streams_)) {
    if (stream->node != node) continue;
    stream->up.cut();
    stream->down.cut();
    tell_node(stream);
    tell_server(stream);
  }
}

// --- calls ---

void Transport::request(std::size_t node, const std::string& what, ToServer deliver,
                        std::function<void()> failed) {
  Link link;
  carry(node, link, fmt::format("node {} calls: {}", node, what),
        [this, deliver = std::move(deliver), failed] {
          if (server_ == nullptr) {
            failed();
          } else {
            deliver(*server_);
          }
        });
  queue_.after(kCallPatience, failed);
}

void Transport::respond(SimulatedServer& server, std::size_t node, std::string what,
                        std::function<void()> deliver) {
  if (!server.may_answer()) return;  // it crashed over the call
  Link link;
  carry(node, link, std::move(what), std::move(deliver));
}

}  // namespace lctl::simulation
