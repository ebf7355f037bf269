// Streams and calls between nodes and the server, over links of the simulated network.
//
// A stream is two links and two ends. An end that closes tells the other one in order, behind what
// was sent; an end that crashes is noticed after a moment. What is still under way to the server
// then arrives there late, as it does in life; an agent ends its old stream before it opens a new
// one, so nothing old reaches it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/simulation/event_queue.h"
#include "tests/simulation/network.h"
#include "tests/simulation/random.h"
#include "tests/simulation/trace.h"

namespace lctl::simulation {

class SimulatedNode;
class SimulatedServer;

enum class StreamKind { kSession, kIngest };

struct Stream {
  std::uint64_t number = 0;
  std::size_t node = 0;
  StreamKind kind = StreamKind::kSession;
  std::uint64_t server_life = 0;  // 0 = it has not reached the server
  Link up, down;
  bool node_open = true;
  bool server_open = true;
};
using StreamPtr = std::shared_ptr<Stream>;

// Thread rule: caller locks.
class Transport {
 public:
  using ToServer = std::function<void(SimulatedServer&)>;
  using ToNode = std::function<void(SimulatedNode&)>;

  Transport(EventQueue& queue, Random& random, Trace& trace)
      : queue_(queue), random_(random), trace_(trace) {}

  // In the order of their numbers. They outlive the transport's use.
  void add_node(SimulatedNode& node) {
    nodes_.push_back(&node);
    weather_.emplace_back();
  }
  Weather& weather(std::size_t node) { return weather_[node]; }

  void server_up(SimulatedServer& server);
  void server_down();

  // --- of nodes ---

  StreamPtr open(std::size_t node, StreamKind kind);
  void up(const StreamPtr& stream, std::string what, ToServer deliver);
  // In order; or (a crash) without a word, which the server's machine sees a moment later.
  void close_by_node(const StreamPtr& stream, bool in_order);

  // A unary call. The answer, or Unavailable when the server is not there or an answer is long in
  // coming, reaches the node as long as its agent lives. It may be carried out although it fails,
  // and more than once.
  template <typename Answer>
  void call(std::size_t node, std::string what,
            std::function<absl::StatusOr<Answer>(SimulatedServer&)> work,
            std::function<void(absl::StatusOr<Answer>)> done) {
    auto back = std::make_shared<std::function<void(absl::StatusOr<Answer>)>>(std::move(done));
    auto answer = [this, back](absl::StatusOr<Answer> result) {
      if (*back) std::exchange(*back, {})(std::move(result));
    };
    request(
        node, what,
        [this, node, what, work = std::move(work), answer](SimulatedServer& server) {
          auto result = work(server);
          respond(server, node, "answer to " + what, [answer, result] { answer(result); });
        },
        [answer] { answer(absl::UnavailableError("the server cannot be reached")); });
  }

  // --- of the server ---

  // `once`: never doubled.
  void down(const StreamPtr& stream, std::string what, ToNode deliver, bool once = false);
  void close_by_server(const StreamPtr& stream);

  // --- faults ---

  // All streams of the node break; what is under way is lost.
  void reset(std::size_t node);

 private:
  void carry(std::size_t node, Link& link, std::string what, std::function<void()> deliver,
             bool once = false);
  void arrive(std::size_t node, std::string what, std::function<void()> deliver);
  void tell_node(const StreamPtr& stream);
  void tell_server(const StreamPtr& stream);
  void give_up_later(const StreamPtr& stream);
  void request(std::size_t node, const std::string& what, ToServer deliver,
               std::function<void()> failed);
  void respond(SimulatedServer& server, std::size_t node, std::string what,
               std::function<void()> deliver);

  EventQueue& queue_;
  Random& random_;
  Trace& trace_;
  std::vector<SimulatedNode*> nodes_;
  std::vector<Weather> weather_;
  std::vector<StreamPtr> streams_;  // with an open end
  std::uint64_t opened_ = 0;
  SimulatedServer* server_ = nullptr;
  std::uint64_t server_life_ = 0;
};

}  // namespace lctl::simulation
