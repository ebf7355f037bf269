// What the fake server knows. Part of fake_server; tests include fake_server.h.
#pragma once

#include <grpcpp/server_context.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "proto/lctl/v1/checkpoint.pb.h"
#include "proto/lctl/v1/control.pb.h"
#include "proto/lctl/v1/tracking.pb.h"

namespace lctl::client {

struct StoredCheckpoint {
  v1::Checkpoint row;
  std::string content;
};

using StreamKey = std::tuple<int, int, int>;  // attempt, rank, kind

// Everything the fake knows. Thread rule: caller locks `mutex`.
struct FakeState {
  std::mutex mutex;
  std::condition_variable changed;
  bool shutting_down = false;
  std::int64_t version = 0;
  std::vector<v1::Job> jobs;  // oldest first
  std::map<std::string, std::vector<v1::Attempt>> attempts;
  std::map<std::string, std::vector<v1::Transition>> transitions;
  std::map<std::string, v1::SourceCode> sources;
  std::map<std::string, std::vector<v1::SharedEnvironment>> environments;
  std::vector<v1::Node> nodes;
  std::map<std::string, std::map<std::string, std::vector<v1::MetricPoint>>> metrics;
  std::map<std::string, std::map<StreamKey, std::string>> logs;
  std::vector<StoredCheckpoint> checkpoints;
  std::vector<std::string> findings;            // of a check, and of a backup
  int page_jobs = 0;                            // jobs of one List's answer; 0 = all
  std::vector<std::string> shown;               // what List says of values
  std::map<std::string, v1::JobValues> values;  // by job
  std::int64_t break_downloads_after = 0;
  bool corrupt_downloads = false;
  std::map<std::string, std::string> jobs_of_keys;  // idempotency key → job id
  std::vector<v1::SubmitRequest> submissions;
  std::vector<v1::StopJobRequest> stops;
  std::vector<v1::DrillRequest> drills;
  std::vector<v1::DrainNodeRequest> drains;
  std::vector<v1::ListJobsRequest> lists;
  std::map<std::string, int> calls;

  v1::Job* find(const std::string& name) {
    if (name == "@last") return jobs.empty() ? nullptr : &jobs.back();
    v1::Job* match = nullptr;
    for (v1::Job& job : jobs) {
      if (job.id() == name || job.spec().name() == name) match = &job;
    }
    if (match != nullptr || name.empty()) return match;
    for (v1::Job& job : jobs) {
      if (job.id().rfind(name, 0) == 0) match = &job;
    }
    return match;
  }

  void touch() {
    ++version;
    changed.notify_all();
  }

  void put(const v1::Job& job) {
    for (v1::Job& known : jobs) {
      if (known.id() == job.id()) {
        known = job;
        touch();
        return;
      }
    }
    jobs.push_back(job);
    touch();
  }

  // Waits for a change, a cancelled call or the shutdown; false for the last two.
  bool wait_for_change(std::unique_lock<std::mutex>& lock, grpc::ServerContext* context,
                       std::int64_t seen) {
    while (version == seen && !shutting_down && !context->IsCancelled()) {
      changed.wait_for(lock, std::chrono::milliseconds(10));
    }
    return !shutting_down && !context->IsCancelled();
  }
};

}  // namespace lctl::client
