// The services of the fake server over its state. Part of fake_server; tests include fake_server.h.
#pragma once

#include <fmt/format.h>
#include <grpcpp/server_context.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "client/testing/fake_state.h"
#include "proto/lctl/v1/checkpoint.grpc.pb.h"
#include "proto/lctl/v1/control.grpc.pb.h"
#include "proto/lctl/v1/tracking.grpc.pb.h"

namespace lctl::client {

inline bool is_final_state(v1::JobState state) { return state >= v1::JOB_STATE_SUCCEEDED; }

inline grpc::Status not_found(const std::string& job) {
  return {grpc::StatusCode::NOT_FOUND, fmt::format("there is no job `{}`", job)};
}

class FakeJobs final : public v1::Jobs::Service {
 public:
  explicit FakeJobs(FakeState& state) : state_(state) {}

  grpc::Status Submit(grpc::ServerContext*, const v1::SubmitRequest* request,
                      v1::SubmitResponse* response) override {
    const std::lock_guard lock(state_.mutex);
    ++state_.calls["Submit"];
    state_.submissions.push_back(*request);
    if (request->spec().name() == "refuse-me") {
      return {grpc::StatusCode::INVALID_ARGUMENT,
              "job.yaml:3: trainer.max_epochs: expected int, got str `three`"};
    }
    std::string& id = state_.jobs_of_keys[request->idempotency_key()];
    if (id.empty()) {
      id = fmt::format("newjob{:04}", state_.jobs_of_keys.size());
      v1::Job job;
      job.set_id(id);
      *job.mutable_spec() = request->spec();
      *job.mutable_tags() = request->spec().tags();
      job.set_submitted_by(request->submitted_by());
      job.set_state(v1::JOB_STATE_QUEUED);
      job.set_reason("waiting for its turn");
      state_.put(job);
      if (request->has_source()) state_.sources[id] = request->source();
    }
    *response->mutable_job() = *state_.find(id);
    return grpc::Status::OK;
  }

  grpc::Status Get(grpc::ServerContext*, const v1::GetJobRequest* request,
                   v1::JobDetails* response) override {
    const std::lock_guard lock(state_.mutex);
    ++state_.calls["Get"];
    const v1::Job* job = state_.find(request->job());
    if (job == nullptr) return not_found(request->job());
    *response->mutable_job() = *job;
    for (const auto& attempt : state_.attempts[job->id()]) *response->add_attempts() = attempt;
    for (const auto& change : state_.transitions[job->id()]) *response->add_transitions() = change;
    if (const auto found = state_.sources.find(job->id()); found != state_.sources.end()) {
      *response->mutable_source() = found->second;
      response->mutable_source()->clear_diff();
    }
    for (const auto& shared : state_.environments[job->id()])
      *response->add_environments() = shared;
    return grpc::Status::OK;
  }

  grpc::Status GetSource(grpc::ServerContext*, const v1::GetJobRequest* request,
                         v1::SourceCode* response) override {
    const std::lock_guard lock(state_.mutex);
    ++state_.calls["GetSource"];
    const v1::Job* job = state_.find(request->job());
    if (job == nullptr) return not_found(request->job());
    const auto found = state_.sources.find(job->id());
    if (found == state_.sources.end())
      return {grpc::StatusCode::NOT_FOUND, "nothing is known of its code"};
    *response = found->second;
    return grpc::Status::OK;
  }

  grpc::Status List(grpc::ServerContext*, const v1::ListJobsRequest* request,
                    v1::ListJobsResponse* response) override {
    const std::lock_guard lock(state_.mutex);
    ++state_.calls["List"];
    state_.lists.push_back(*request);
    if (request->where() == "refuse me") {
      return {grpc::StatusCode::INVALID_ARGUMENT, "where: column 8: expected one of =, !="};
    }
    bool behind =
        !request->before().empty();  // the job that the page begins after is still to come
    for (auto job = state_.jobs.rbegin(); job != state_.jobs.rend(); ++job) {
      if (behind) {
        behind = job->id() != request->before();
        continue;
      }
      if (state_.page_jobs > 0 && response->jobs_size() == state_.page_jobs) {
        response->set_next_before(response->jobs(state_.page_jobs - 1).id());
        break;
      }
      if (!request->experiment().empty() && job->spec().experiment() != request->experiment()) {
        continue;
      }
      const auto& states = request->states();
      if (!states.empty() &&
          std::find(states.begin(), states.end(), job->state()) == states.end()) {
        continue;
      }
      if (request->limit() > 0 && response->jobs_size() >= request->limit()) break;
      *response->add_jobs() = *job;
      if (!state_.shown.empty()) *response->add_values() = state_.values[job->id()];
    }
    response->mutable_shown()->Assign(state_.shown.begin(), state_.shown.end());
    return grpc::Status::OK;
  }

  grpc::Status Stop(grpc::ServerContext*, const v1::StopJobRequest* request,
                    v1::Job* response) override {
    const std::lock_guard lock(state_.mutex);
    ++state_.calls["Stop"];
    state_.stops.push_back(*request);
    v1::Job* job = state_.find(request->job());
    if (job == nullptr) return not_found(request->job());
    if (is_final_state(job->state())) {
      return {grpc::StatusCode::FAILED_PRECONDITION,
              fmt::format("job {} has already ended", job->id())};
    }
    job->set_state(job->state() == v1::JOB_STATE_QUEUED ? v1::JOB_STATE_STOPPED
                                                        : v1::JOB_STATE_STOPPING);
    job->set_reason(request->reason().empty() ? "stopped by the user" : request->reason());
    *response = *job;
    state_.touch();
    return grpc::Status::OK;
  }

  grpc::Status Resume(grpc::ServerContext*, const v1::ResumeJobRequest* request,
                      v1::Job* response) override {
    const std::lock_guard lock(state_.mutex);
    ++state_.calls["Resume"];
    v1::Job* job = state_.find(request->job());
    if (job == nullptr) return not_found(request->job());
    if (job->state() != v1::JOB_STATE_STOPPED && job->state() != v1::JOB_STATE_FAILED) {
      return {grpc::StatusCode::FAILED_PRECONDITION,
              fmt::format("job {} is not stopped", job->id())};
    }
    job->set_state(v1::JOB_STATE_QUEUED);
    job->set_reason("resumed");
    *response = *job;
    state_.touch();
    return grpc::Status::OK;
  }

  grpc::Status WriteStacks(grpc::ServerContext*, const v1::WriteStacksRequest* request,
                           v1::Job* response) override {
    const std::lock_guard lock(state_.mutex);
    ++state_.calls["WriteStacks"];
    const v1::Job* job = state_.find(request->job());
    if (job == nullptr) return not_found(request->job());
    if (job->state() != v1::JOB_STATE_RUNNING) {
      return {grpc::StatusCode::FAILED_PRECONDITION, fmt::format("job {} does not run", job->id())};
    }
    *response = *job;
    return grpc::Status::OK;
  }
  // The fault is kept here; what follows, a test says with put_job().
  grpc::Status Drill(grpc::ServerContext*, const v1::DrillRequest* request,
                     v1::DrillResponse* response) override {
    const std::lock_guard lock(state_.mutex);
    ++state_.calls["Drill"];
    state_.drills.push_back(*request);
    const v1::Job* job = state_.find(request->job());
    if (job == nullptr) return not_found(request->job());
    if (job->state() != v1::JOB_STATE_RUNNING) {
      return {grpc::StatusCode::FAILED_PRECONDITION,
              fmt::format("job {} cannot be drilled: it does not run", job->id())};
    }
    *response->mutable_job() = *job;
    response->set_injected_us(1'700'000'000'000'000);
    response->set_node_name("node-a");
    response->set_duration_ms(request->duration_ms());
    state_.touch();
    return grpc::Status::OK;
  }

  grpc::Status SetLabels(grpc::ServerContext*, const v1::SetLabelsRequest* request,
                         v1::Job* response) override {
    const std::lock_guard lock(state_.mutex);
    ++state_.calls["SetLabels"];
    v1::Job* job = state_.find(request->job());
    if (job == nullptr) return not_found(request->job());
    for (const std::string& key : request->removed_tags()) {
      if (job->mutable_tags()->erase(key) == 0) {
        return {grpc::StatusCode::NOT_FOUND,
                fmt::format("job {}: it has no tag '{}'; it has none", job->id(), key)};
      }
    }
    for (const auto& [key, value] : request->tags()) (*job->mutable_tags())[key] = value;
    if (request->has_note()) job->set_note(request->note());
    *response = *job;
    state_.touch();
    return grpc::Status::OK;
  }

  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                     grpc::ServerWriter<v1::Job>* writer) override {
    std::unique_lock lock(state_.mutex);
    ++state_.calls["Watch"];
    const v1::Job* found = state_.find(request->job());
    if (found == nullptr) return not_found(request->job());
    const std::string id = found->id();
    for (;;) {
      const std::int64_t seen = state_.version;
      const v1::Job now = *state_.find(id);
      lock.unlock();
      if (!writer->Write(now)) return grpc::Status::CANCELLED;
      if (is_final_state(now.state())) return grpc::Status::OK;
      lock.lock();
      if (!state_.wait_for_change(lock, context, seen)) {
        return {grpc::StatusCode::UNAVAILABLE, "transport is closing"};
      }
    }
  }

 private:
  FakeState& state_;
};

class FakeCluster final : public v1::Cluster::Service {
 public:
  explicit FakeCluster(FakeState& state) : state_(state) {}

  grpc::Status ListNodes(grpc::ServerContext*, const v1::ListNodesRequest*,
                         v1::ListNodesResponse* response) override {
    const std::lock_guard lock(state_.mutex);
    for (auto& node : state_.nodes) {
      *response->add_nodes() = node;
      // Its jobs have ended when somebody looks again.
      if (node.state() == v1::NODE_STATE_DRAINING) node.set_state(v1::NODE_STATE_DRAINED);
    }
    return grpc::Status::OK;
  }

  grpc::Status DrainNode(grpc::ServerContext*, const v1::DrainNodeRequest* request,
                         v1::Node* response) override {
    const std::lock_guard lock(state_.mutex);
    state_.drains.push_back(*request);
    return change(request->node(), v1::NODE_STATE_DRAINING, 1'700'000'000'000'000,
                  request->reason(), response);
  }
  grpc::Status UndrainNode(grpc::ServerContext*, const v1::UndrainNodeRequest* request,
                           v1::Node* response) override {
    const std::lock_guard lock(state_.mutex);
    return change(request->node(), v1::NODE_STATE_READY, 0, "", response);
  }

  grpc::Status GetServerInfo(grpc::ServerContext*, const v1::GetServerInfoRequest*,
                             v1::ServerInfo* response) override {
    response->set_version("0.1.0-fake");
    response->set_started_us(1'700'000'000'000'000);
    response->set_data_dir("/tmp/fake");
    return grpc::Status::OK;
  }

 private:
  grpc::Status change(const std::string& name, v1::NodeState state, std::int64_t drained_us,
                      const std::string& reason, v1::Node* response) {
    for (auto& node : state_.nodes) {
      if (node.name() != name) continue;
      node.set_state(state);
      node.set_drained_us(drained_us);
      node.set_drain_reason(reason);
      *response = node;
      return grpc::Status::OK;
    }
    return {grpc::StatusCode::NOT_FOUND, "there is no node '" + name + "'"};
  }

  FakeState& state_;
};

class FakeExperiments final : public v1::Experiments::Service {
 public:
  explicit FakeExperiments(FakeState& state) : state_(state) {}

  grpc::Status List(grpc::ServerContext*, const v1::ListExperimentsRequest*,
                    v1::ListExperimentsResponse* response) override {
    const std::lock_guard lock(state_.mutex);
    std::map<std::string, int> counts;
    for (const auto& job : state_.jobs) ++counts[job.spec().experiment()];
    for (const auto& [name, count] : counts) {
      v1::Experiment* experiment = response->add_experiments();
      experiment->set_name(name);
      experiment->set_jobs(count);
    }
    return grpc::Status::OK;
  }

  grpc::Status ListMetrics(grpc::ServerContext*, const v1::ListMetricsRequest* request,
                           v1::ListMetricsResponse* response) override {
    const std::lock_guard lock(state_.mutex);
    const v1::Job* job = state_.find(request->job());
    if (job == nullptr) return not_found(request->job());
    for (const auto& [key, points] : state_.metrics[job->id()]) {
      v1::MetricSummary* summary = response->add_metrics();
      summary->set_key(key);
      summary->set_points(static_cast<std::int64_t>(points.size()));
      *summary->mutable_last() = points.back();
      const auto [low, high] =
          std::minmax_element(points.begin(), points.end(),
                              [](const auto& a, const auto& b) { return a.value() < b.value(); });
      summary->set_min(low->value());
      summary->set_max(high->value());
    }
    return grpc::Status::OK;
  }

  grpc::Status GetMetric(grpc::ServerContext*, const v1::GetMetricRequest* request,
                         v1::GetMetricResponse* response) override {
    const std::lock_guard lock(state_.mutex);
    const v1::Job* job = state_.find(request->job());
    if (job == nullptr) return not_found(request->job());
    const auto& metrics = state_.metrics[job->id()];
    const auto found = metrics.find(request->key());
    if (found == metrics.end()) {
      return {grpc::StatusCode::NOT_FOUND,
              fmt::format("job {} has no metric `{}`", job->id(), request->key())};
    }
    for (const auto& point : found->second) {
      if (point.step() < request->from_step()) continue;
      if (request->to_step() > 0 && point.step() >= request->to_step()) continue;
      *response->add_points() = point;
    }
    return grpc::Status::OK;
  }

  grpc::Status GetLogs(grpc::ServerContext* context, const v1::GetLogsRequest* request,
                       grpc::ServerWriter<v1::LogChunk>* writer) override {
    std::unique_lock lock(state_.mutex);
    ++state_.calls["GetLogs"];
    const v1::Job* found = state_.find(request->job());
    if (found == nullptr) return not_found(request->job());
    const std::string id = found->id();
    std::map<StreamKey, std::size_t> sent;
    for (;;) {
      const std::int64_t seen = state_.version;
      const bool last = is_final_state(state_.find(id)->state()) || !request->follow();
      const auto chunks = new_chunks(id, *request, sent);
      lock.unlock();
      for (const auto& chunk : chunks) {
        if (!writer->Write(chunk)) return grpc::Status::CANCELLED;
      }
      if (last) return grpc::Status::OK;
      lock.lock();
      if (!state_.wait_for_change(lock, context, seen)) {
        return {grpc::StatusCode::UNAVAILABLE, "transport is closing"};
      }
    }
  }

 private:
  std::vector<v1::LogChunk> new_chunks(const std::string& id, const v1::GetLogsRequest& request,
                                       std::map<StreamKey, std::size_t>& sent) {
    std::vector<v1::LogChunk> chunks;
    for (const auto& [key, text] : state_.logs[id]) {
      const auto [attempt, rank, kind] = key;
      if (request.attempt() != 0 && attempt != request.attempt()) continue;
      if (request.rank() >= 0 && rank != request.rank()) continue;
      std::size_t from = 0;
      const auto tail = static_cast<std::size_t>(request.tail_bytes());
      if (tail > 0 && text.size() > tail) from = text.size() - tail;
      std::size_t& next = sent.try_emplace(key, from).first->second;
      if (next >= text.size()) continue;
      v1::LogChunk& chunk = chunks.emplace_back();
      chunk.mutable_stream()->set_job_id(id);
      chunk.mutable_stream()->set_attempt(attempt);
      chunk.mutable_stream()->set_rank(rank);
      chunk.mutable_stream()->set_kind(static_cast<v1::StreamKind>(kind));
      chunk.set_offset(next);
      chunk.set_text(text.substr(next));
      next = text.size();
    }
    return chunks;
  }

  FakeState& state_;
};

class FakeCheckpoints final : public v1::Checkpoints::Service {
 public:
  explicit FakeCheckpoints(FakeState& state) : state_(state) {}

  grpc::Status List(grpc::ServerContext*, const v1::ListCheckpointsRequest* request,
                    v1::ListCheckpointsResponse* response) override {
    const std::lock_guard lock(state_.mutex);
    for (const auto& checkpoint : state_.checkpoints) {
      if (checkpoint.row.job_id() == request->job_id()) {
        *response->add_checkpoints() = checkpoint.row;
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status Download(grpc::ServerContext*, const v1::DownloadRequest* request,
                        grpc::ServerWriter<v1::DownloadChunk>* writer) override {
    StoredCheckpoint found;
    std::int64_t limit = 0;
    {
      const std::lock_guard lock(state_.mutex);
      ++state_.calls["Download"];
      for (const auto& checkpoint : state_.checkpoints) {
        if (checkpoint.row.id() == request->checkpoint_id()) found = checkpoint;
      }
      limit = state_.break_downloads_after;
      if (state_.corrupt_downloads) found.row.set_sha256(std::string(64, '0'));
    }
    if (found.row.id().empty()) {
      return {grpc::StatusCode::NOT_FOUND,
              fmt::format("there is no checkpoint `{}`", request->checkpoint_id())};
    }
    const auto size = static_cast<std::int64_t>(found.content.size());
    if (request->offset() > size) {
      return {grpc::StatusCode::OUT_OF_RANGE, "the checkpoint is shorter than that"};
    }
    std::int64_t sent = 0;
    for (std::int64_t at = request->offset(); at < size || sent == 0;) {
      if (limit > 0 && sent >= limit) return {grpc::StatusCode::UNAVAILABLE, "Socket closed"};
      v1::DownloadChunk chunk;
      chunk.set_offset(at);
      chunk.set_data(found.content.substr(static_cast<std::size_t>(at), 1000));
      if (sent == 0) {
        chunk.set_sha256(found.row.sha256());
        chunk.set_total_size(size);
      }
      const auto step = static_cast<std::int64_t>(chunk.data().size());
      if (!writer->Write(chunk) || step == 0) break;
      at += step;
      sent += step;
    }
    return grpc::Status::OK;
  }

 private:
  FakeState& state_;
};

}  // namespace lctl::client
