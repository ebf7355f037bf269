#include "server/nodes/session_service.h"

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace lctl::nodes {
namespace {

// Messages that one stream may have waiting for the strand; beyond it the stream is not read.
constexpr int kMaxInFlight = 256;
// Messages that may wait for one slow agent; beyond it the stream is given up.
constexpr std::size_t kMaxQueued = 10'000;

grpc::Status to_grpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(message_of(status))};
}

// One stream. Holds itself until gRPC is done with it.
class SessionReactor final : public grpc::ServerBidiReactor<v1::AgentMessage, v1::ServerMessage>,
                             public AgentStream,
                             public std::enable_shared_from_this<SessionReactor> {
 public:
  SessionReactor(grpc::CallbackServerContext* context, NodeTable& table, jobs::Strand& strand,
                 const Clock& clock)
      : context_(context), table_(table), strand_(strand), clock_(clock) {}

  void begin() {
    self_ = shared_from_this();
    post([this](NodeTable& table) { table.opened(self_, clock_.monotonic_now()); });
    const std::lock_guard lock(mutex_);
    StartRead(&incoming_);
  }

  void send(v1::ServerMessage message) override {
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    if (outgoing_.size() >= kMaxQueued) {
      drop_unsent_locked();
      end_locked(absl::ResourceExhaustedError("the agent does not read its messages"));
      context_->TryCancel();
      return;
    }
    outgoing_.push_back(std::move(message));
    write_next_locked();
  }

  void finish(absl::Status status) override {
    const std::lock_guard lock(mutex_);
    end_locked(std::move(status));
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) {  // the agent has ended, or the connection broke
      post([this](NodeTable& table) { table.closed(this); });
      const std::lock_guard lock(mutex_);
      drop_unsent_locked();
      end_locked(absl::OkStatus());
      return;
    }
    if (incoming_.has_heartbeat()) {
      v1::ServerMessage ack;
      ack.mutable_heartbeat_ack()->set_sequence(incoming_.heartbeat().sequence());
      send(std::move(ack));
    }
    {
      const std::lock_guard lock(mutex_);
      ++in_flight_;
    }
    post([this, message = std::move(incoming_), at = clock_.monotonic_now()](NodeTable& table) {
      table.received(this, message, at);
      processed();
    });
    incoming_.Clear();
    const std::lock_guard lock(mutex_);
    read_next_locked();
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    outgoing_.pop_front();
    if (!ok) outgoing_.clear();
    write_next_locked();
    finish_when_idle_locked();
  }

  void OnDone() override {
    post([this](NodeTable& table) { table.closed(this); });
    const std::shared_ptr<SessionReactor> last = std::move(self_);
  }

  // Keeps this alive until the work has run.
  template <typename Work>
  void post(Work work) {
    strand_.post([self = shared_from_this(), &table = table_, work = std::move(work)]() mutable {
      work(table);
    });
  }

  void processed() {
    const std::lock_guard lock(mutex_);
    --in_flight_;
    if (!reading_) read_next_locked();  // it was held back
  }

  void read_next_locked() {
    reading_ = in_flight_ < kMaxInFlight && !finished_;
    if (reading_) StartRead(&incoming_);
  }

  void write_next_locked() {
    if (writing_ || outgoing_.empty() || finished_) return;
    writing_ = true;
    StartWrite(&outgoing_.front());
  }

  // All but the message that is being written.
  void drop_unsent_locked() { outgoing_.resize(writing_ ? 1 : 0); }

  void end_locked(absl::Status status) {
    if (!ending_) ending_ = std::move(status);
    finish_when_idle_locked();
  }

  void finish_when_idle_locked() {
    if (!ending_ || writing_ || !outgoing_.empty() || finished_) return;
    finished_ = true;
    Finish(to_grpc(*ending_));
  }

  grpc::CallbackServerContext* const context_;
  NodeTable& table_;
  jobs::Strand& strand_;
  const Clock& clock_;
  std::shared_ptr<SessionReactor> self_;  // until OnDone
  v1::AgentMessage incoming_;             // of the read in progress

  std::mutex mutex_;
  // State below is protected by mutex_.
  std::deque<v1::ServerMessage> outgoing_;  // its front is being written while writing_
  bool writing_ = false;
  bool reading_ = true;
  int in_flight_ = 0;
  std::optional<absl::Status> ending_;
  bool finished_ = false;
};

}  // namespace

grpc::ServerBidiReactor<v1::AgentMessage, v1::ServerMessage>* SessionService::Session(
    grpc::CallbackServerContext* context) {
  const auto reactor = std::make_shared<SessionReactor>(context, table_, strand_, clock_);
  reactor->begin();
  return reactor.get();
}

}  // namespace lctl::nodes
