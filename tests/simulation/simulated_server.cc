#include "tests/simulation/simulated_server.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "server/jobs/job_record.h"
#include "tests/simulation/simulated_node.h"

namespace lctl::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kHeartbeat = seconds(2);
constexpr Duration kLostAfter = seconds(10);
constexpr Duration kReconnectAllowance = seconds(20);
constexpr Duration kMinimumRun = seconds(1);  // before a gang may have to make room

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
  for (const v1::SpooledEvent& event : batch.events()) {
    view.events.push_back({event.offset(), event.end_offset(), event.event()});
  }
  return view;
}

std::string describe(const v1::ServerMessage& message) {
  switch (message.kind_case()) {
    case v1::ServerMessage::kLaunch:
      return fmt::format("launch {}.{}", message.launch().job_id(), message.launch().attempt());
    case v1::ServerMessage::kStop:
      return fmt::format("stop {}.{} within {} ms", message.stop().job_id(),
                         message.stop().attempt(), message.stop().grace_ms());
    case v1::ServerMessage::kForget:
      return fmt::format("forget {}.{}", message.forget().job_id(), message.forget().attempt());
    default:
      return message.has_registered() ? "registered" : "refused";
  }
}

}  // namespace

// The server's end of a session.
class SimulatedServer::SessionEnd final : public nodes::AgentStream {
 public:
  SessionEnd(SimulatedServer& server, StreamPtr stream)
      : server_(server), stream_(std::move(stream)) {}

  void send(v1::ServerMessage message) override {
    if (finished_ || !server_.crash_.pass()) return;
    server_.options_.transport.down(
        stream_, describe(message),
        [stream = stream_, message](SimulatedNode& node) { node.session_message(stream, message); },
        // Its answer may be that it failed; the server repeats it only to a node that has
        // registered without it.
        message.has_launch());
  }
  void finish(absl::Status) override {
    if (std::exchange(finished_, true) || !server_.crash_.pass()) return;
    server_.options_.transport.close_by_server(stream_);
  }

 private:
  SimulatedServer& server_;
  const StreamPtr stream_;
  bool finished_ = false;
};

class SimulatedServer::Progress final : public ingest::EventObserver {
 public:
  explicit Progress(jobs::JobsEngine& engine) : engine_(engine) {}
  void on_ready(const AttemptId&, int, const v1::RankReady&) override {}
  void on_progress(const AttemptId& attempt, const v1::Progress& progress) override {
    engine_.progress(attempt.job, attempt.number, progress);
  }
  void on_finished(const AttemptId&, int, const v1::Finished&) override {}

 private:
  jobs::JobsEngine& engine_;
};

// One life of the server. In the order of construction.
struct SimulatedServer::Parts {
  std::unique_ptr<storage::Store> real;
  std::unique_ptr<CrashingStore> store;
  jobs::JobFeed feed;
  std::unique_ptr<nodes::NodeTable> table;
  std::unique_ptr<jobs::JobsEngine> engine;
  std::unique_ptr<Progress> progress;
  std::unique_ptr<ingest::Intake> intake;
  std::map<std::uint64_t, std::shared_ptr<SessionEnd>> sessions;  // by stream
  std::map<std::uint64_t, std::vector<v1::IngestBatch>> batches;  // read, not applied yet
  bool settle_is_due = false;
  std::optional<MonotonicTime> wake_at;
};

SimulatedServer::SimulatedServer(Options options) : options_(std::move(options)) {}
SimulatedServer::~SimulatedServer() = default;

storage::Store& SimulatedServer::store() { return *parts_->real; }

bool SimulatedServer::has_preempted() const {
  return preempted_ || (parts_ && parts_->engine->view(0).counts.preemptions > 0);
}

bool SimulatedServer::all_at_rest(const std::vector<JobId>& jobs) const {
  for (const JobId& id : jobs) {
    const auto job = parts_->engine->get(id);
    if (!job.ok()) return true;  // the invariants will say so
    if (jobs::is_final(job->state())) continue;
    if (job->state() != v1::JOB_STATE_QUEUED ||
        job->reason().find("it starts when such nodes join") == std::string::npos) {
      return false;
    }
  }
  return true;
}

// --- life ---

void SimulatedServer::start() {
  crash_ = {};
  ++life_;
  auto parts = std::make_unique<Parts>();
  auto opened = storage::Store::open({.dir = options_.folder, .clock = options_.queue});
  LCTL_CHECK(opened.ok(), "the store of a simulated server opens");
  parts->real = *std::move(opened);
  parts->store =
      std::make_unique<CrashingStore>(*parts->real, crash_, options_.invariants, options_.bug);
  parts->table = std::make_unique<nodes::NodeTable>(
      nodes::NodeTable::Options{.clock = options_.queue,
                                .heartbeat_interval = kHeartbeat,
                                .suspect_after = kLostAfter * 3 / 5,
                                .lost_after = kLostAfter});
  auto engine =
      jobs::JobsEngine::open({.clock = options_.queue,
                              .store = *parts->store,
                              .launcher = *parts->table,
                              .feed = parts->feed,
                              .return_allowance = kLostAfter + kReconnectAllowance,
                              .quotas = {},
                              .preemption = {.by_priority = true, .minimum_run = kMinimumRun}});
  LCTL_CHECK(engine.ok(), "the engine of a simulated server opens");
  parts->engine = *std::move(engine);
  parts->table->attach(*parts->engine);
  parts->progress = std::make_unique<Progress>(*parts->engine);
  parts->intake = std::make_unique<ingest::Intake>(parts->real->events(), *parts->progress);
  parts_ = std::move(parts);
  options_.trace.add(options_.queue.elapsed(), "the server starts");
  options_.transport.server_up(*this);
  settle_soon(milliseconds(1));
}

void SimulatedServer::crash() {
  if (parts_ == nullptr) return;
  crash_.after(0);
  options_.trace.add(options_.queue.elapsed(), "the server crashes");
  preempted_ = has_preempted();
  options_.transport.server_down();
  parts_.reset();
  options_.on_crash();
}

// --- the strand ---

template <typename Result>
Result SimulatedServer::serve(const std::function<Result()>& work) {
  Result result = work();
  finish_step();
  return result;
}

void SimulatedServer::finish_step() {
  if (crash_.reached()) {
    // Not from within its own work.
    options_.queue.after(Duration(0), [this, life = life_] {
      if (life == life_) crash();
    });
    return;
  }
  settle_soon(options_.random.between(Duration(0), milliseconds(4)));
}

void SimulatedServer::settle_soon(Duration delay) {
  if (parts_ == nullptr || std::exchange(parts_->settle_is_due, true)) return;
  options_.queue.after(delay, [this, life = life_] {
    if (parts_ == nullptr || life != life_) return;
    parts_->settle_is_due = false;
    settle();
  });
}

void SimulatedServer::settle() {
  parts_->store->commit_owed();
  parts_->table->advance();
  parts_->engine->settle();
  if (crash_.reached()) return finish_step();
  std::optional<MonotonicTime> next = parts_->engine->next_deadline();
  const auto silence = parts_->table->next_deadline();
  if (silence && (!next || *silence < *next)) next = silence;
  if (!next || (parts_->wake_at && *parts_->wake_at <= *next &&
                *parts_->wake_at > options_.queue.monotonic_now())) {
    return;
  }
  parts_->wake_at = *next;
  options_.queue.at(*next, [this, life = life_] {
    if (parts_ != nullptr && life == life_) settle_soon(Duration(0));
  });
}

// --- sessions ---

void SimulatedServer::session_message(const StreamPtr& stream, const v1::AgentMessage& message) {
  serve<bool>([&] {
    const MonotonicTime now = options_.queue.monotonic_now();
    auto& end = parts_->sessions[stream->number];
    if (end == nullptr) {
      end = std::make_shared<SessionEnd>(*this, stream);
      parts_->table->opened(end, now);
    } else if (message.has_register_()) {
      return true;  // the call was opened twice: gRPC does not do that
    }
    parts_->table->received(end.get(), message, now);
    return true;
  });
}

void SimulatedServer::stream_ended(const StreamPtr& stream) {
  if (stream->kind != StreamKind::kSession) return;  // what it has read is still applied
  const auto found = parts_->sessions.find(stream->number);
  if (found == parts_->sessions.end()) return;
  serve<bool>([&] {
    parts_->table->closed(found->second.get());
    return true;
  });
  parts_->sessions.erase(stream->number);
}

// --- ingest: one thread reads into a queue, another applies what has gathered ---

void SimulatedServer::ingest_batch(const StreamPtr& stream, const v1::IngestBatch& batch) {
  std::vector<v1::IngestBatch>& waiting = parts_->batches[stream->number];
  waiting.push_back(batch);
  if (waiting.size() > 1) return;
  options_.queue.after(options_.random.between(Duration(0), milliseconds(30)),
                       [this, stream, life = life_] {
                         if (parts_ != nullptr && life == life_) apply_batches(stream);
                       });
}

void SimulatedServer::apply_batches(const StreamPtr& stream) {
  const auto batches = std::make_shared<std::vector<v1::IngestBatch>>(
      std::exchange(parts_->batches[stream->number], {}));
  const auto apply = [this, stream, batches] {
    std::vector<ingest::Batch> views;
    for (const v1::IngestBatch& batch : *batches) {
      ingest::Batch view = view_of(batch);
      if (options_.bug == Bug::kDoesNotFence) {
        if (const auto job = parts_->real->jobs().get(view.stream.attempt.job); job.ok()) {
          view.stream.attempt.number = job->attempt();
        }
      }
      views.push_back(std::move(view));
    }
    return crash_.pass() ? parts_->intake->apply(views) : std::vector<ingest::Outcome>();
  };
  if (options_.bug == Bug::kAcknowledgesBeforeCommit) {
    for (const v1::IngestBatch& batch : *batches) {
      acknowledge(stream, batch, {.committed_offset = batch.to_offset()});
    }
    options_.queue.after(milliseconds(200), [this, apply, life = life_] {
      if (parts_ != nullptr && life == life_) apply();
    });
    return;
  }
  serve<bool>([&] {
    const std::vector<ingest::Outcome> outcomes = apply();
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      if (outcomes[i].verdict == ingest::Verdict::kOk) {
        options_.invariants.took_in(view_of((*batches)[i]).stream);
      }
      acknowledge(stream, (*batches)[i], outcomes[i]);
    }
    return true;
  });
}

void SimulatedServer::acknowledge(const StreamPtr& stream, const v1::IngestBatch& batch,
                                  const ingest::Outcome& outcome) {
  if (!crash_.pass()) return;
  static constexpr v1::IngestAck::Result kResults[] = {
      v1::IngestAck::RESULT_OK, v1::IngestAck::RESULT_GAP, v1::IngestAck::RESULT_FENCED,
      v1::IngestAck::RESULT_INVALID, v1::IngestAck::RESULT_RETRY};
  v1::IngestAck ack;
  *ack.mutable_stream() = batch.stream();
  ack.set_committed_offset(outcome.committed_offset);
  ack.set_result(kResults[static_cast<std::size_t>(outcome.verdict)]);
  ack.set_message(outcome.message);
  options_.transport.down(
      stream,
      fmt::format("{} to {} of rank {} of {}.{}", v1::IngestAck::Result_Name(ack.result()),
                  ack.committed_offset(), batch.stream().rank(), batch.stream().job_id(),
                  batch.stream().attempt()),
      [stream, ack](SimulatedNode& node) { node.ingest_ack(stream, ack); });
}

// --- checkpoints ---

absl::StatusOr<std::vector<std::string>> SimulatedServer::find_missing(
    const std::vector<std::string>& hashes) {
  return parts_->real->checkpoints().missing(hashes);
}

absl::StatusOr<bool> SimulatedServer::put(const std::string& hash, const std::string& bytes) {
  return serve<absl::StatusOr<bool>>([&]() -> absl::StatusOr<bool> {
    if (!crash_.pass()) return absl::UnavailableError("the server has crashed");
    return parts_->real->checkpoints().put(hash, bytes);
  });
}

absl::StatusOr<CheckpointId> SimulatedServer::commit(const storage::Manifest& manifest) {
  return serve<absl::StatusOr<CheckpointId>>([&]() -> absl::StatusOr<CheckpointId> {
    if (!crash_.pass()) return absl::UnavailableError("the server has crashed");
    auto id = parts_->real->checkpoints().commit(manifest);
    if (id.ok()) {
      options_.invariants.stored_checkpoint(manifest.attempt, manifest.written.file());
    }
    return id;
  });
}

absl::StatusOr<std::string> SimulatedServer::download(const CheckpointId& id) {
  return parts_->real->checkpoints().read(id, 0, storage::kMaxChunkBytes);
}

// --- people ---

absl::StatusOr<JobId> SimulatedServer::submit(const v1::JobSpec& spec, const std::string& key) {
  return serve<absl::StatusOr<JobId>>([&]() -> absl::StatusOr<JobId> {
    const auto job = parts_->engine->submit(spec, "me@here", key);
    if (!job.ok()) return job.status();
    return JobId(job->id());
  });
}

absl::Status SimulatedServer::stop(const JobId& id, std::optional<Duration> grace) {
  return serve<absl::Status>([&] { return parts_->engine->stop(id, grace, "stopped").status(); });
}

absl::Status SimulatedServer::resume(const JobId& id) {
  return serve<absl::Status>([&] { return parts_->engine->resume(id).status(); });
}

absl::Status SimulatedServer::drain(const std::string& node, std::optional<Duration> grace) {
  return serve<absl::Status>([&] { return parts_->engine->drain(node, "", grace).status(); });
}

absl::Status SimulatedServer::undrain(const std::string& node) {
  return serve<absl::Status>([&] { return parts_->engine->undrain(node).status(); });
}

std::vector<std::string> SimulatedServer::drained() const {
  std::vector<std::string> nodes;
  for (const auto& [id, drain] : parts_->engine->drains()) nodes.push_back(id.str());
  return nodes;
}

}  // namespace lctl::simulation
