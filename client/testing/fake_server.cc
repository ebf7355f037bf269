#include "client/testing/fake_server.h"

#include <fmt/format.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <openssl/sha.h>

#include <chrono>
#include <mutex>
#include <utility>

#include "base/clock.h"
#include "client/testing/fake_admin.h"
#include "client/testing/fake_services.h"
#include "client/testing/fake_state.h"

namespace lctl::client {
namespace {

std::string sha256_hex(const std::string& data) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(data.data()), data.size(), digest);
  std::string text;
  for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace

struct FakeServer::Services {
  FakeState state;
  FakeJobs jobs{state};
  FakeCluster cluster{state};
  FakeExperiments experiments{state};
  FakeCheckpoints checkpoints{state};
  FakeAdmin admin{state};
  std::unique_ptr<grpc::Server> server;
  int port = 0;

  void start() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(fmt::format("127.0.0.1:{}", port), grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&jobs);
    builder.RegisterService(&cluster);
    builder.RegisterService(&experiments);
    builder.RegisterService(&checkpoints);
    builder.RegisterService(&admin);
    server = builder.BuildAndStart();
  }
};

FakeServer::FakeServer() : services_(std::make_unique<Services>()) { services_->start(); }

FakeServer::~FakeServer() { shut_down(); }

std::string FakeServer::address() const { return fmt::format("127.0.0.1:{}", services_->port); }

void FakeServer::shut_down() {
  if (services_->server == nullptr) return;
  {
    const std::lock_guard lock(services_->state.mutex);
    services_->state.shutting_down = true;
    services_->state.touch();
  }
  const std::chrono::system_clock::time_point deadline =
      system_clock().wall_now() + std::chrono::milliseconds(200);
  services_->server->Shutdown(deadline);
  services_->server->Wait();
  services_->server.reset();
}

void FakeServer::start_again() {
  services_->state.shutting_down = false;
  services_->start();
}

void FakeServer::put_environment(const std::string& job, const v1::SharedEnvironment& environment) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.environments[job].push_back(environment);
}

void FakeServer::put_job(const v1::Job& job) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.put(job);
}

void FakeServer::put_attempt(const std::string& job_id, const v1::Attempt& attempt) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.attempts[job_id].push_back(attempt);
}

void FakeServer::put_transition(const std::string& job_id, const v1::Transition& transition) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.transitions[job_id].push_back(transition);
}

void FakeServer::put_node(const v1::Node& node) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.nodes.push_back(node);
}

void FakeServer::put_point(const std::string& job_id, const std::string& key,
                           const v1::MetricPoint& point) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.metrics[job_id][key].push_back(point);
}

void FakeServer::put_log(const std::string& job_id, int attempt, int rank, std::string_view text,
                         bool error_stream) {
  const std::lock_guard lock(services_->state.mutex);
  const int kind = error_stream ? v1::STREAM_KIND_STDERR : v1::STREAM_KIND_STDOUT;
  services_->state.logs[job_id][{attempt, rank, kind}] += text;
  services_->state.touch();
}

void FakeServer::put_checkpoint(const v1::Checkpoint& checkpoint, const std::string& content) {
  const std::lock_guard lock(services_->state.mutex);
  StoredCheckpoint& stored = services_->state.checkpoints.emplace_back();
  stored.row = checkpoint;
  stored.row.set_sha256(sha256_hex(content));
  stored.row.mutable_written()->set_size(static_cast<std::int64_t>(content.size()));
  stored.content = content;
}

void FakeServer::break_downloads_after(std::int64_t bytes) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.break_downloads_after = bytes;
}

void FakeServer::put_finding(const std::string& finding) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.findings.push_back(finding);
}

void FakeServer::set_page_jobs(int jobs) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.page_jobs = jobs;
}

void FakeServer::set_values(std::vector<std::string> shown,
                            std::map<std::string, v1::JobValues> of_jobs) {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.shown = std::move(shown);
  services_->state.values = std::move(of_jobs);
}

void FakeServer::corrupt_downloads() {
  const std::lock_guard lock(services_->state.mutex);
  services_->state.corrupt_downloads = true;
}

std::vector<v1::SubmitRequest> FakeServer::submissions() const {
  const std::lock_guard lock(services_->state.mutex);
  return services_->state.submissions;
}

std::vector<v1::StopJobRequest> FakeServer::stops() const {
  const std::lock_guard lock(services_->state.mutex);
  return services_->state.stops;
}

std::vector<v1::DrillRequest> FakeServer::drills() const {
  const std::lock_guard lock(services_->state.mutex);
  return services_->state.drills;
}

std::vector<v1::DrainNodeRequest> FakeServer::drains() const {
  const std::lock_guard lock(services_->state.mutex);
  return services_->state.drains;
}

std::vector<v1::ListJobsRequest> FakeServer::lists() const {
  const std::lock_guard lock(services_->state.mutex);
  return services_->state.lists;
}

int FakeServer::calls(const std::string& method) const {
  const std::lock_guard lock(services_->state.mutex);
  const auto found = services_->state.calls.find(method);
  return found == services_->state.calls.end() ? 0 : found->second;
}

v1::Job FakeServer::job(const std::string& name) const {
  const std::lock_guard lock(services_->state.mutex);
  const v1::Job* found = services_->state.find(name);
  return found == nullptr ? v1::Job() : *found;
}

}  // namespace lctl::client
