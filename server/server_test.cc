// The whole coordinator over real gRPC: a client, and a node that the test plays.
#include "server/server.h"

#include <grpcpp/create_channel.h>

#include <algorithm>
#include <deque>
#include <functional>

#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/testing/fetch.h"
#include "proto/lctl/v1/checkpoint.grpc.pb.h"
#include "proto/lctl/v1/control.grpc.pb.h"
#include "proto/lctl/v1/event.pb.h"
#include "proto/lctl/v1/ingest.grpc.pb.h"
#include "proto/lctl/v1/session.grpc.pb.h"
#include "server/testing/digits_job.h"
#include "storage/testing/manual_clock.h"
#include "storage/testing/temp_folder.h"

namespace lctl::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

// A test that waits for what does not come fails rather than hangs.
grpc::ClientContext& in_time(grpc::ClientContext& context) {
  context.set_deadline(gpr_time_from_seconds(20, GPR_TIMESPAN));
  return context;
}

// An agent's stream, played line by line.
class PlayedAgent {
 public:
  PlayedAgent(const std::string& address, std::string id, std::string name)
      : stub_(v1::NodeSession::NewStub(
            grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))),
        id_(std::move(id)),
        name_(std::move(name)),
        stream_(stub_->Session(&in_time(context_))) {}
  ~PlayedAgent() {
    context_.TryCancel();
    if (!ended_) stream_->Finish();
  }

  void join(const std::vector<v1::RankReport>& ranks = {}) {
    v1::AgentMessage message;
    v1::Register& registration = *message.mutable_register_();
    registration.set_node_id(id_);
    registration.set_name(name_);
    registration.set_address("127.0.0.1");
    registration.set_version(kVersion);
    registration.set_cpus(2);
    for (int i = 0; i < 2; ++i) {
      v1::Device& device = *registration.add_devices();
      device.set_kind("cpu");
      device.set_index(i);
    }
    *registration.mutable_ranks() = {ranks.begin(), ranks.end()};
    ASSERT_TRUE(stream_->Write(message));
    next(v1::ServerMessage::kRegistered);
  }
  void report(const v1::RankReport& report) {
    v1::AgentMessage message;
    *message.mutable_rank_report() = report;
    ASSERT_TRUE(stream_->Write(message));
  }
  void beat() {
    v1::AgentMessage message;
    message.mutable_heartbeat()->set_sequence(1);
    ASSERT_TRUE(stream_->Write(message));
    v1::ServerMessage answer;
    while (!answer.has_heartbeat_ack()) {
      ASSERT_TRUE(stream_->Read(&answer));
      if (!answer.has_heartbeat_ack()) kept_.push_back(answer);
    }
  }
  // The next message but for heartbeats' answers; it must be of that kind.
  v1::ServerMessage next(v1::ServerMessage::KindCase kind) {
    v1::ServerMessage message;
    if (kept_.empty()) {
      EXPECT_TRUE(stream_->Read(&message));
    } else {
      message = std::move(kept_.front());
      kept_.pop_front();
    }
    EXPECT_EQ(message.kind_case(), kind) << message.ShortDebugString();
    return message;
  }
  grpc::Status end() {
    v1::ServerMessage message;
    while (stream_->Read(&message)) {
    }
    ended_ = true;
    return stream_->Finish();
  }

 private:
  std::unique_ptr<v1::NodeSession::Stub> stub_;
  const std::string id_;
  const std::string name_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AgentMessage, v1::ServerMessage>> stream_;
  std::deque<v1::ServerMessage> kept_;  // that came before a heartbeat's answer
  bool ended_ = false;
};

v1::RankReport rank_report(const v1::Launch& launch, int rank, v1::RankState state, int code = 0) {
  v1::RankReport report;
  report.set_job_id(launch.job_id());
  report.set_attempt(launch.attempt());
  report.set_rank(rank);
  report.set_state(state);
  report.set_pid(1000 + rank);
  report.set_exit_code(code);
  return report;
}

class ServerTest : public testing::Test {
 protected:
  ServerTest() { start(); }

  void start() {
    auto started = Server::start({.listen = "127.0.0.1:0",
                                  .http = "127.0.0.1:0",
                                  .data_dir = folder_.path(),
                                  .reserve_bytes = 0,
                                  .clock = clock_});
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    jobs_ = v1::Jobs::NewStub(channel_);
  }
  std::unique_ptr<PlayedAgent> agent(char id, const std::string& name) {
    return std::make_unique<PlayedAgent>(server_->address(), std::string(16, id), name);
  }
  // In steps, as a running server sees it.
  void pass(Duration time, const std::function<void()>& meanwhile = [] {}) {
    for (Duration done{}; done < time; done += milliseconds(500)) {
      clock_.advance(milliseconds(500));
      meanwhile();
      server_->touch();
    }
  }

  std::string submit() {
    grpc::ClientContext context;
    v1::SubmitRequest request;
    request.mutable_spec()->set_config_yaml(std::string(kDigitsJob) +
                                            "  resources: {devices: 2}\n");
    request.mutable_spec()->set_config_name("digits.yaml");
    request.set_submitted_by("me@here");
    request.set_idempotency_key("key" + std::to_string(++submitted_));
    v1::SubmitResponse response;
    const grpc::Status status = jobs_->Submit(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.job().id();
  }
  v1::Job job(const std::string& id) {
    grpc::ClientContext context;
    v1::GetJobRequest request;
    request.set_job(id);
    v1::JobDetails details;
    EXPECT_TRUE(jobs_->Get(&context, request, &details).ok());
    return details.job();
  }
  v1::Job wait_until_final(const std::string& id) {
    grpc::ClientContext context;
    v1::WatchJobRequest request;
    request.set_job(id);
    const auto stream = jobs_->Watch(&in_time(context), request);
    v1::Job job;
    while (stream->Read(&job)) {
    }
    return job;
  }
  // One event of rank 0, through ingest, acknowledged.
  void send_event(const v1::Launch& launch, std::uint64_t from, const v1::Event& event) {
    const auto ingest = v1::Ingest::NewStub(channel_);
    grpc::ClientContext context;
    const auto stream = ingest->Stream(&in_time(context));
    v1::IngestBatch batch;
    batch.mutable_stream()->set_job_id(launch.job_id());
    batch.mutable_stream()->set_attempt(launch.attempt());
    batch.mutable_stream()->set_kind(v1::STREAM_KIND_EVENTS);
    batch.set_from_offset(from);
    batch.set_to_offset(from + 100);
    v1::SpooledEvent& spooled = *batch.add_events();
    spooled.set_offset(std::max<std::uint64_t>(8, from));  // behind the file's header
    spooled.set_end_offset(from + 100);
    spooled.set_event(event.SerializeAsString());
    ASSERT_TRUE(stream->Write(batch));
    v1::IngestAck ack;
    ASSERT_TRUE(stream->Read(&ack));
    EXPECT_EQ(ack.result(), v1::IngestAck::RESULT_OK) << ack.message();
    stream->WritesDone();
    stream->Finish();
  }
  static void end_well(PlayedAgent& agent, const v1::Launch& launch) {
    for (int rank = 0; rank < 2; ++rank) {
      agent.report(rank_report(launch, rank, v1::RANK_STATE_EXITED));
      agent.report(rank_report(launch, rank, v1::RANK_STATE_DRAINED));
    }
    EXPECT_EQ(agent.next(v1::ServerMessage::kForget).forget().attempt(), launch.attempt());
  }

  storage::TempFolder folder_;
  storage::ManualClock clock_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Jobs::Stub> jobs_;
  int submitted_ = 0;
};

TEST_F(ServerTest, JobGoesFromSubmitToItsEndWithProgressOnTheWay) {
  const auto node = agent('a', "a");
  node->join();
  const std::string id = submit();
  const v1::Launch launch = node->next(v1::ServerMessage::kLaunch).launch();
  EXPECT_EQ(launch.job_id(), id);
  EXPECT_EQ(launch.world_size(), 2);
  EXPECT_TRUE(launch.rendezvous().bind());
  EXPECT_EQ(launch.spec().name(), "digits");

  grpc::ClientContext context;
  v1::WatchJobRequest request;
  request.set_job("digits");
  const auto watch = jobs_->Watch(&in_time(context), request);
  node->report(rank_report(launch, 0, v1::RANK_STATE_RUNNING));
  node->report(rank_report(launch, 1, v1::RANK_STATE_RUNNING));
  v1::Job seen;
  while (seen.state() != v1::JOB_STATE_RUNNING) ASSERT_TRUE(watch->Read(&seen));

  v1::Event event;
  event.mutable_progress()->set_global_step(7);
  send_event(launch, 0, event);
  while (seen.progress().global_step() != 7) ASSERT_TRUE(watch->Read(&seen));
  event.mutable_finished()->set_outcome(v1::Finished::OUTCOME_SUCCEEDED);
  event.mutable_finished()->set_global_step(90);
  send_event(launch, 100, event);
  end_well(*node, launch);
  while (watch->Read(&seen)) {
  }
  EXPECT_EQ(seen.state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(seen.reason(), "finished at step 90");
  EXPECT_EQ(seen.ranks(1).pid(), 1001);
}

TEST_F(ServerTest, RestartedServerFindsItsRanksAgainAndStartsNothingTwice) {
  auto node = agent('a', "a");
  node->join();
  const std::string id = submit();
  const v1::Launch launch = node->next(v1::ServerMessage::kLaunch).launch();
  node->report(rank_report(launch, 0, v1::RANK_STATE_RUNNING));
  node->report(rank_report(launch, 1, v1::RANK_STATE_RUNNING));
  node->beat();
  server_->stop();
  EXPECT_EQ(node->end().error_code(), grpc::StatusCode::UNAVAILABLE);

  start();
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  node = agent('a', "a");
  node->join({rank_report(launch, 0, v1::RANK_STATE_RUNNING),
              rank_report(launch, 1, v1::RANK_STATE_RUNNING)});
  node->beat();  // its ack is the next message: nothing was launched or stopped
  end_well(*node, launch);
  const v1::Job end = wait_until_final(id);
  EXPECT_EQ(end.state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(end.attempt(), 1);
}

TEST_F(ServerTest, SilentNodesJobMovesToAnotherAndTheOldRanksAreFenced) {
  auto first = agent('a', "a");
  first->join();
  const std::string id = submit();
  const v1::Launch launch = first->next(v1::ServerMessage::kLaunch).launch();
  first->report(rank_report(launch, 0, v1::RANK_STATE_RUNNING));
  first->report(rank_report(launch, 1, v1::RANK_STATE_RUNNING));
  first->beat();  // its last sign of life
  const auto second = agent('b', "b");
  second->join();
  pass(seconds(11), [&] { second->beat(); });
  const v1::Launch again = second->next(v1::ServerMessage::kLaunch).launch();
  EXPECT_EQ(again.attempt(), 2);
  EXPECT_EQ(job(id).restarts(), 0);
  EXPECT_EQ(first->end().error_code(), grpc::StatusCode::UNAVAILABLE);

  first = agent('a', "a");
  first->join({rank_report(launch, 0, v1::RANK_STATE_RUNNING)});
  const v1::StopRanks stop = first->next(v1::ServerMessage::kStop).stop();
  EXPECT_EQ(stop.attempt(), 1);
  EXPECT_EQ(stop.grace_ms(), 0);
  first->report(rank_report(launch, 0, v1::RANK_STATE_EXITED, 137));
  EXPECT_EQ(first->next(v1::ServerMessage::kForget).forget().attempt(), 1);
}

TEST_F(ServerTest, ChunksOfAnUploadThatNeverEndedAreFreed) {
  constexpr char kSha256[] = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
  const auto checkpoints = v1::Checkpoints::NewStub(channel_);
  grpc::ClientContext first;
  v1::PutChunksResponse stored;
  const auto writer = checkpoints->PutChunks(&in_time(first), &stored);
  v1::Chunk chunk;
  chunk.set_sha256(kSha256);
  chunk.set_data("hello");
  ASSERT_TRUE(writer->Write(chunk));
  writer->WritesDone();
  ASSERT_TRUE(writer->Finish().ok());

  clock_.advance(std::chrono::hours(2));
  server_->collect_garbage();
  grpc::ClientContext second;
  v1::FindMissingRequest asked;
  asked.add_sha256(kSha256);
  v1::FindMissingResponse missing;
  ASSERT_TRUE(checkpoints->FindMissing(&second, asked, &missing).ok());
  EXPECT_EQ(missing.sha256_size(), 1);
}

TEST_F(ServerTest, NodesAndServerInfoAreListed) {
  const auto node = agent('a', "a");
  node->join();
  submit();
  node->next(v1::ServerMessage::kLaunch);
  const auto cluster = v1::Cluster::NewStub(channel_);
  grpc::ClientContext first;
  v1::ListNodesResponse nodes;
  ASSERT_TRUE(cluster->ListNodes(&first, {}, &nodes).ok());
  ASSERT_EQ(nodes.nodes_size(), 1);
  EXPECT_EQ(nodes.nodes(0).name(), "a");
  EXPECT_EQ(nodes.nodes(0).state(), v1::NODE_STATE_READY);
  EXPECT_EQ(nodes.nodes(0).devices_in_use(), 2);
  EXPECT_EQ(nodes.nodes(0).job_ids_size(), 1);
  grpc::ClientContext second;
  v1::ServerInfo info;
  ASSERT_TRUE(cluster->GetServerInfo(&second, {}, &info).ok());
  EXPECT_EQ(info.version(), kVersion);
  EXPECT_EQ(info.data_dir(), folder_.path().string());
}

TEST_F(ServerTest, BadSpecIsRefusedAndCreatesNothing) {
  grpc::ClientContext context;
  v1::SubmitRequest request;
  request.mutable_spec()->set_config_yaml("trainer:\n  max_epoch: 3\n");
  request.mutable_spec()->set_config_name("mine.yaml");
  request.set_idempotency_key("k");
  v1::SubmitResponse response;
  const grpc::Status status = jobs_->Submit(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("mine.yaml:2"));
  grpc::ClientContext other;
  v1::ListJobsResponse jobs;
  ASSERT_TRUE(jobs_->List(&other, {}, &jobs).ok());
  EXPECT_EQ(jobs.jobs_size(), 0);
}

TEST_F(ServerTest, MetricsPageTellsWhatTheServerDoes) {
  const auto node = agent('a', "a");
  node->join();
  const std::string id = submit();
  const v1::Launch launch = node->next(v1::ServerMessage::kLaunch).launch();
  v1::Event event;
  event.mutable_metrics()->add_keys("loss");
  event.mutable_metrics()->add_values(0.5);
  send_event(launch, 0, event);
  const std::string page = http::fetch(server_->http_address(), "/metrics");
  EXPECT_THAT(page, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(page, HasSubstr("lctl_jobs{state=\"starting\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_job_info{job_id=\"" + id + "\",name=\"digits\""));
  EXPECT_THAT(page, HasSubstr("lctl_attempts_placed_total 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_ingest_points_total 1\n"));
  EXPECT_THAT(page,
              HasSubstr("lctl_grpc_calls_total{method=\"lctl.v1.Jobs/Submit\",code=\"OK\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_grpc_open_calls{method=\"lctl.v1.NodeSession/Session\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_node_devices_in_use{node=\"a\""));
  EXPECT_THAT(http::fetch(server_->http_address(), "/nowhere"), HasSubstr("ENDPOINT_NOT_FOUND"));
  EXPECT_THAT(http::fetch(server_->http_address(),
                          "/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"),
              HasSubstr("\"experiment_id\":\"0\""));
}

TEST_F(ServerTest, FolderAndPortBelongToOneServer) {
  const auto same_folder =
      Server::start({.listen = "127.0.0.1:0", .data_dir = folder_.path(), .clock = clock_});
  EXPECT_TRUE(absl::IsUnavailable(same_folder.status())) << same_folder.status();
  const storage::TempFolder other;
  const auto same_port =
      Server::start({.listen = server_->address(), .data_dir = other.path(), .clock = clock_});
  EXPECT_TRUE(absl::IsUnavailable(same_port.status()));
  EXPECT_THAT(std::string(message_of(same_port.status())), HasSubstr("--listen HOST:PORT"));
  const auto same_http = Server::start({.listen = "127.0.0.1:0",
                                        .http = server_->http_address(),
                                        .data_dir = other.path(),
                                        .clock = clock_});
  EXPECT_THAT(std::string(message_of(same_http.status())), HasSubstr("--http HOST:PORT"));
}

TEST(ServerOptionsTest, WhatCannotWorkIsRefused) {
  const storage::TempFolder folder;
  const auto open = Server::start({.listen = "0.0.0.0:0", .data_dir = folder.path()});
  EXPECT_TRUE(absl::IsFailedPrecondition(open.status()));
  const auto open_http =
      Server::start({.listen = "127.0.0.1:0", .http = "0.0.0.0:0", .data_dir = folder.path()});
  EXPECT_TRUE(absl::IsFailedPrecondition(open_http.status()));
  const auto hasty = Server::start({.listen = "127.0.0.1:0",
                                    .data_dir = folder.path(),
                                    .heartbeat_interval = seconds(10),
                                    .lost_after = seconds(10)});
  EXPECT_TRUE(absl::IsInvalidArgument(hasty.status()));
  const auto short_lease = Server::start({.listen = "127.0.0.1:0",
                                          .data_dir = folder.path(),
                                          .lost_after = seconds(10),
                                          .lease = seconds(10)});
  EXPECT_TRUE(absl::IsInvalidArgument(short_lease.status()));
}

}  // namespace
}  // namespace lctl::server
