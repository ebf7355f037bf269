// The session over real gRPC on loopback.
#include "server/nodes/session_service.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/manual_clock.h"

namespace lctl::nodes {
namespace {

using ::testing::HasSubstr;

// Counts what arrives, and lets a test wait for it.
class EventCounter final : public jobs::NodeEvents {
 public:
  void node_joined(const jobs::NodeInfo&, std::span<const jobs::RankReport>) override {
    count(joined_);
  }
  void node_unavailable(const NodeId&) override { count(unavailable_); }
  void node_available(const NodeId&) override {}
  void node_lost(const NodeId&, const std::string&) override {}
  void rank_reported(const NodeId&, const jobs::RankReport& report) override {
    EXPECT_EQ(report.rank, ranks_) << "in the order of sending";
    count(ranks_);
  }
  void rendezvous_ready(const NodeId&, const AttemptId&, int) override {}
  void launch_failed(const NodeId&, const AttemptId&, const std::string&, bool,
                     const std::string&) override {}
  void log_matched(const NodeId&, const AttemptId&, int, int, const std::string&) override {}
  void device_faults(const NodeId&, std::span<const jobs::DeviceFault>) override {}
  void rank_stalled(const NodeId&, const jobs::RankStall&) override {}

  void wait_joined(int n) { wait(joined_, n); }
  void wait_unavailable(int n) { wait(unavailable_, n); }
  void wait_ranks(int n) { wait(ranks_, n); }

 private:
  void count(int& what) {
    const std::lock_guard lock(mutex_);
    ++what;
    changed_.notify_all();
  }
  void wait(const int& what, int n) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return what >= n; });
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  int joined_ = 0;
  int unavailable_ = 0;
  int ranks_ = 0;
};

class SessionServiceTest : public testing::Test {
 protected:
  SessionServiceTest()
      : table_({.clock = clock_}), strand_(clock_), service_(table_, strand_, clock_) {
    table_.attach(events_);
    strand_.start({[this] { table_.advance(); }, [this] { return table_.next_deadline(); }});
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::NodeSession::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port_),
                                                         grpc::InsecureChannelCredentials()));
  }
  ~SessionServiceTest() override {
    strand_.call([this] { table_.close_all(absl::UnavailableError("bye")); });
    server_->Shutdown();
    strand_.stop();
  }

  static v1::AgentMessage registration(const std::string& id, const std::string& name) {
    v1::AgentMessage message;
    v1::Register& registration = *message.mutable_register_();
    registration.set_node_id(id);
    registration.set_name(name);
    registration.set_address("127.0.0.1");
    registration.set_version(kVersion);
    return message;
  }

  storage::ManualClock clock_;
  EventCounter events_;
  NodeTable table_;
  jobs::Strand strand_;
  SessionService service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::NodeSession::Stub> stub_;
};

const std::string kA = "aaaaaaaaaaaaaaaa";

TEST_F(SessionServiceTest, RegistersAndAnswersHeartbeats) {
  grpc::ClientContext context;
  const auto stream = stub_->Session(&context);
  ASSERT_TRUE(stream->Write(registration(kA, "a")));
  v1::ServerMessage answer;
  ASSERT_TRUE(stream->Read(&answer));
  EXPECT_EQ(answer.registered().server_version(), kVersion);
  v1::AgentMessage beat;
  beat.mutable_heartbeat()->set_sequence(17);
  ASSERT_TRUE(stream->Write(beat));
  ASSERT_TRUE(stream->Read(&answer));
  EXPECT_EQ(answer.heartbeat_ack().sequence(), 17u);
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&answer));
  EXPECT_TRUE(stream->Finish().ok());
  events_.wait_unavailable(1);
}

TEST_F(SessionServiceTest, ManyMessagesArriveInOrderWhileTheStrandIsBusy) {
  grpc::ClientContext context;
  const auto stream = stub_->Session(&context);
  ASSERT_TRUE(stream->Write(registration(kA, "a")));
  events_.wait_joined(1);
  std::promise<void> go;
  strand_.post([&] { go.get_future().wait(); });
  std::thread writer([&] {
    for (int i = 0; i < 2000; ++i) {
      v1::AgentMessage message;
      message.mutable_rank_report()->set_job_id("j");
      message.mutable_rank_report()->set_attempt(1);
      message.mutable_rank_report()->set_rank(i);
      message.mutable_rank_report()->set_state(v1::RANK_STATE_RUNNING);
      EXPECT_TRUE(stream->Write(message));
    }
  });
  go.set_value();
  writer.join();
  events_.wait_ranks(2000);
  context.TryCancel();
  events_.wait_unavailable(1);
}

TEST_F(SessionServiceTest, OrdersReachTheAgentAndRefusalsEndTheStream) {
  grpc::ClientContext context;
  const auto stream = stub_->Session(&context);
  ASSERT_TRUE(stream->Write(registration(kA, "a")));
  v1::ServerMessage message;
  ASSERT_TRUE(stream->Read(&message));
  strand_.post([&] {
    for (int i = 1; i <= 100; ++i) table_.forget(NodeId{kA}, {JobId{"j"}, i});
  });
  for (int i = 1; i <= 100; ++i) {
    ASSERT_TRUE(stream->Read(&message));
    EXPECT_EQ(message.forget().attempt(), i);
  }

  grpc::ClientContext other;
  const auto refused = stub_->Session(&other);
  ASSERT_TRUE(refused->Write(registration("bbbbbbbbbbbbbbbb", "a")));
  ASSERT_TRUE(refused->Read(&message));
  EXPECT_THAT(message.refused().reason(), HasSubstr("another live node"));
  EXPECT_FALSE(refused->Read(&message));
  EXPECT_EQ(refused->Finish().error_code(), grpc::StatusCode::ALREADY_EXISTS);

  strand_.call([this] { table_.close_all(absl::UnavailableError("the server is shutting down")); });
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(SessionServiceTest, ThreeHundredNodesNeedNoThreadEach) {
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReaderWriter<v1::AgentMessage, v1::ServerMessage>>>
      streams;
  for (int i = 0; i < 300; ++i) {
    std::string id = kA;
    id[0] = static_cast<char>('a' + i / 26);
    id[1] = static_cast<char>('a' + i % 26);
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(stub_->Session(contexts.back().get()));
    ASSERT_TRUE(streams.back()->Write(registration(id, "n" + std::to_string(i))));
  }
  events_.wait_joined(300);
  v1::ServerMessage message;
  for (auto& stream : streams) {
    ASSERT_TRUE(stream->Read(&message));
    EXPECT_TRUE(message.has_registered());
  }
  for (auto& context : contexts) context->TryCancel();
  events_.wait_unavailable(300);
}

}  // namespace
}  // namespace lctl::nodes
