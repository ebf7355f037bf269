#include "server/nodes/node_table.h"

#include "base/printable_line.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/manual_clock.h"

namespace lctl::nodes {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FakeStream final : public AgentStream {
 public:
  void send(v1::ServerMessage message) override {
    if (!ended) sent.push_back(std::move(message));
  }
  void finish(absl::Status status) override {
    if (!ended) ended = std::move(status);
  }
  std::vector<v1::ServerMessage> sent;
  std::optional<absl::Status> ended;
};

// Writes down what the engine would hear.
class EventLog final : public jobs::NodeEvents {
 public:
  void node_joined(const jobs::NodeInfo& node, std::span<const jobs::RankReport> ranks) override {
    lines.push_back("joined " + node.name + " " + std::to_string(ranks.size()));
  }
  void node_unavailable(const NodeId& node) override {
    lines.push_back("unavailable " + node.str());
  }
  void node_available(const NodeId& node) override { lines.push_back("available " + node.str()); }
  void node_lost(const NodeId& node, const std::string& why) override {
    lines.push_back("lost " + node.str() + ": " + why);
  }
  void rank_reported(const NodeId&, const jobs::RankReport& report) override {
    lines.push_back("rank " + report.attempt.str() + " " + std::to_string(report.rank));
  }
  void rendezvous_ready(const NodeId&, const AttemptId& attempt, int port) override {
    lines.push_back("rendezvous " + attempt.str() + " " + std::to_string(port));
  }
  void launch_failed(const NodeId&, const AttemptId& attempt, const std::string& reason,
                     bool permanent, const std::string& corrupt_checkpoint) override {
    lines.push_back("failed " + attempt.str() + " " + reason + (permanent ? " for good" : "") +
                    (corrupt_checkpoint.empty() ? "" : ", damaged " + corrupt_checkpoint));
  }
  void log_matched(const NodeId&, const AttemptId& attempt, int rank, int policy,
                   const std::string& line) override {
    lines.push_back("matched " + attempt.str() + " " + std::to_string(rank) + " policy " +
                    std::to_string(policy) + ": " + line);
  }
  void device_faults(const NodeId& node, std::span<const jobs::DeviceFault> faults) override {
    std::string line = "faults of " + node.str() + ":";
    for (const auto& fault : faults)
      line += " " + fault.device.kind + std::to_string(fault.device.index) + " " + fault.why;
    lines.push_back(line);
  }
  void rank_stalled(const NodeId&, const jobs::RankStall& stall) override {
    lines.push_back("stalled " + stall.attempt.str() + " " + std::to_string(stall.rank) + " " +
                    stall.phase + " " + std::to_string(stall.begun));
  }
  std::vector<std::string> take() { return std::exchange(lines, {}); }
  std::vector<std::string> lines;
};

const std::string kA = "aaaaaaaaaaaaaaaa";
const std::string kB = "bbbbbbbbbbbbbbbb";

class NodeTableTest : public testing::Test {
 protected:
  NodeTableTest() : table_({.clock = clock_}) { table_.attach(events_); }

  std::shared_ptr<FakeStream> open() {
    auto stream = std::make_shared<FakeStream>();
    table_.opened(stream, clock_.monotonic_now());
    return stream;
  }
  std::shared_ptr<FakeStream> join(const std::string& id, const std::string& name) {
    auto stream = open();
    v1::AgentMessage message;
    v1::Register& registration = *message.mutable_register_();
    registration.set_node_id(id);
    registration.set_name(name);
    registration.set_address("127.0.0.1");
    registration.set_version(kVersion);
    receive(stream, message);
    return stream;
  }
  void receive(const std::shared_ptr<FakeStream>& stream, const v1::AgentMessage& message) {
    table_.received(stream.get(), message, clock_.monotonic_now());
  }
  void beat(const std::shared_ptr<FakeStream>& stream) {
    v1::AgentMessage message;
    message.mutable_heartbeat()->set_load_1m(1.5);
    receive(stream, message);
  }
  // In steps, as a running server sees it.
  void pass(Duration time) {
    for (Duration done{}; done < time; done += milliseconds(500)) {
      clock_.advance(milliseconds(500));
      table_.advance();
    }
  }

  storage::ManualClock clock_;
  EventLog events_;
  NodeTable table_;
};

TEST_F(NodeTableTest, RegistrationIsAnsweredAndAnnounced) {
  const auto stream = join(kA, "a");
  ASSERT_EQ(stream->sent.size(), 1u);
  EXPECT_EQ(stream->sent[0].registered().heartbeat_interval_ms(), 2000);
  EXPECT_EQ(stream->sent[0].registered().lost_after_ms(), 10000);
  EXPECT_THAT(events_.take(), ElementsAre("joined a 0"));
  ASSERT_EQ(table_.view().size(), 1u);
  EXPECT_EQ(table_.view()[0].state, NodeState::kReady);
}

TEST_F(NodeTableTest, StallsArriveCheckedAndStacksAreAskedFor) {
  const auto stream = join(kA, "a");
  events_.take();
  v1::AgentMessage message;
  v1::RankStalled& stall = *message.mutable_rank_stalled();
  stall.set_job_id("jjjjjjjjjj");
  stall.set_attempt(3);
  stall.set_rank(1);
  stall.set_phase("training\n");
  stall.set_silent_ms(47'000);
  stall.set_collectives_begun(812);
  receive(stream, message);
  EXPECT_THAT(events_.take(), ElementsAre("stalled jjjjjjjjjj.3 1 training 812"));
  const auto refused = [&](auto spoil) {
    v1::AgentMessage spoiled = message;
    spoil(*spoiled.mutable_rank_stalled());
    receive(stream, spoiled);
    EXPECT_THAT(events_.take(), IsEmpty());
  };
  refused([](v1::RankStalled& each) { each.clear_job_id(); });
  refused([](v1::RankStalled& each) { each.set_rank(-1); });
  refused([](v1::RankStalled& each) { each.set_silent_ms(-1); });
  refused([](v1::RankStalled& each) { each.set_collectives_begun(-1); });
  refused([](v1::RankStalled& each) {
    for (int i = 0; i < 17; ++i) each.add_recent_collectives("barrier");
  });

  stream->sent.clear();
  table_.dump_stacks(NodeId{kA}, {JobId{"jjjjjjjjjj"}, 3});
  ASSERT_EQ(stream->sent.size(), 1u);
  EXPECT_EQ(stream->sent[0].dump_stacks().job_id(), "jjjjjjjjjj");
  EXPECT_EQ(stream->sent[0].dump_stacks().attempt(), 3);
}

TEST_F(NodeTableTest, SilenceMakesANodeSuspectThenLost) {
  const auto stream = join(kA, "a");
  events_.take();
  pass(milliseconds(5500));
  EXPECT_THAT(events_.take(), IsEmpty());
  pass(milliseconds(500));
  EXPECT_EQ(table_.view()[0].state, NodeState::kSuspect);
  EXPECT_THAT(events_.take(), ElementsAre("unavailable " + kA));
  pass(seconds(4));
  EXPECT_EQ(table_.view()[0].state, NodeState::kLost);
  EXPECT_THAT(events_.take(), ElementsAre("lost " + kA + ": node a has not answered for 10.0 s"));
  ASSERT_TRUE(stream->ended);
  EXPECT_TRUE(absl::IsUnavailable(*stream->ended));
  beat(stream);
  EXPECT_THAT(events_.take(), IsEmpty()) << "a lost node must register again";
  join(kA, "a");
  EXPECT_THAT(events_.take(), ElementsAre("joined a 0"));
}

TEST_F(NodeTableTest, HeartbeatsKeepANodeReadyAndBringASuspectBack) {
  const auto stream = join(kA, "a");
  for (int i = 0; i < 10; ++i) {
    pass(seconds(2));
    beat(stream);
  }
  EXPECT_THAT(events_.take(), ElementsAre("joined a 0"));
  EXPECT_EQ(table_.view()[0].load_1m, 1.5);
  pass(seconds(7));
  beat(stream);
  EXPECT_THAT(events_.take(), ElementsAre("unavailable " + kA, "available " + kA));
}

TEST_F(NodeTableTest, BrokenStreamAloneLosesNothingUntilTheTimeIsUp) {
  const auto stream = join(kA, "a");
  events_.take();
  table_.closed(stream.get());
  EXPECT_THAT(events_.take(), ElementsAre("unavailable " + kA));
  table_.launch(NodeId{kA}, {.spec = std::make_shared<v1::JobSpec>()});
  EXPECT_EQ(stream->sent.size(), 1u) << "orders for it are dropped";
  pass(seconds(5));
  join(kA, "a");
  EXPECT_THAT(events_.take(), ElementsAre("joined a 0"));
  pass(seconds(5));
  EXPECT_THAT(events_.take(), IsEmpty());
}

TEST_F(NodeTableTest, SecondStreamOfANodeReplacesTheFirst) {
  const auto old = join(kA, "a");
  const auto young = join(kA, "a");
  ASSERT_TRUE(old->ended);
  EXPECT_TRUE(absl::IsAborted(*old->ended));
  events_.take();
  table_.closed(old.get());
  EXPECT_THAT(events_.take(), IsEmpty());
  table_.stop(NodeId{kA}, {JobId{"j"}, 1}, seconds(3), "why");
  ASSERT_EQ(young->sent.size(), 2u);
  EXPECT_EQ(young->sent[1].stop().grace_ms(), 3000);
  EXPECT_EQ(young->sent[1].stop().reason(), "why");
}

TEST_F(NodeTableTest, NameOfALiveNodeIsTakenThatOfALostOneIsNot) {
  join(kA, "same");
  const auto refused = join(kB, "same");
  ASSERT_EQ(refused->sent.size(), 1u);
  EXPECT_THAT(refused->sent[0].refused().reason(),
              HasSubstr("another live node has the name 'same'"));
  EXPECT_TRUE(absl::IsAlreadyExists(*refused->ended));
  pass(seconds(11));
  const auto accepted = join(kB, "same");
  EXPECT_TRUE(accepted->sent.at(0).has_registered());
}

TEST_F(NodeTableTest, MessagesOfANodeGoToTheEngine) {
  const auto stream = join(kA, "a");
  events_.take();
  v1::AgentMessage message;
  message.mutable_rank_report()->set_job_id("j");
  message.mutable_rank_report()->set_attempt(1);
  message.mutable_rank_report()->set_rank(3);
  message.mutable_rank_report()->set_state(v1::RANK_STATE_RUNNING);
  receive(stream, message);
  message.mutable_rendezvous_ready()->set_job_id("j");
  message.mutable_rendezvous_ready()->set_attempt(1);
  message.mutable_rendezvous_ready()->set_port(4000);
  receive(stream, message);
  message.mutable_launch_failed()->set_job_id("j");
  message.mutable_launch_failed()->set_attempt(1);
  message.mutable_launch_failed()->set_reason("disk full");
  message.mutable_launch_failed()->set_permanent(true);
  receive(stream, message);
  message.mutable_launch_failed()->set_permanent(false);
  message.mutable_launch_failed()->set_reason("wrong hash");
  message.mutable_launch_failed()->set_corrupt_checkpoint_id("c");
  receive(stream, message);
  EXPECT_THAT(events_.take(),
              ElementsAre("rank j.1 3", "rendezvous j.1 4000", "failed j.1 disk full for good",
                          "failed j.1 wrong hash, damaged c"));
}

TEST_F(NodeTableTest, MatchesOfLogPoliciesGoToTheEngineAlsoThoseOfARegistration) {
  v1::LogMatch match;
  match.set_job_id("j");
  match.set_attempt(1);
  match.set_rank(2);
  match.set_policy(3);
  match.set_line("Xid 79");
  const auto stream = open();
  v1::AgentMessage message;
  v1::Register& registration = *message.mutable_register_();
  registration.set_node_id(kA);
  registration.set_name("a");
  registration.set_address("127.0.0.1");
  registration.set_version(kVersion);
  *registration.add_log_matches() = match;
  receive(stream, message);
  EXPECT_THAT(events_.take(), ElementsAre("joined a 0", "matched j.1 2 policy 3: Xid 79"));

  *message.mutable_log_match() = match;
  receive(stream, message);
  EXPECT_THAT(events_.take(), ElementsAre("matched j.1 2 policy 3: Xid 79"));
  message.mutable_log_match()->set_policy(-1);
  receive(stream, message);
  EXPECT_THAT(events_.take(), IsEmpty());
}

TEST_F(NodeTableTest, FaultsOfItsDevicesGoToTheEngineAndAreShown) {
  const auto stream = open();
  v1::AgentMessage registration;
  registration.mutable_register_()->set_node_id(kA);
  registration.mutable_register_()->set_name("a");
  registration.mutable_register_()->set_address("127.0.0.1");
  registration.mutable_register_()->set_version(kVersion);
  for (int i = 0; i < 2; ++i) {
    v1::Device& device = *registration.mutable_register_()->add_devices();
    device.set_kind("cuda");
    device.set_index(i);
  }
  registration.mutable_register_()->mutable_devices(0)->set_fault("Xid 48");
  receive(stream, registration);
  EXPECT_EQ(table_.view()[0].info.faults.at(0).why, "Xid 48");
  events_.take();

  v1::AgentMessage message;
  v1::Device& faulty = *message.mutable_device_faults()->add_devices();
  faulty.set_kind("cuda");
  faulty.set_index(1);
  faulty.set_fault("Xid\n79");
  *message.mutable_device_faults()->add_devices() = faulty;
  message.mutable_device_faults()->mutable_devices(1)->set_index(7);  // it has none
  receive(stream, message);
  EXPECT_THAT(events_.take(),
              ElementsAre("faults of " + kA + ": cuda1 " + printable_line("Xid\n79")));
  EXPECT_EQ(table_.view()[0].devices[0].fault(), "");
  EXPECT_EQ(table_.view()[0].devices[1].fault(), printable_line("Xid\n79"));

  message.mutable_device_faults()->Clear();
  receive(stream, message);
  EXPECT_THAT(events_.take(), ElementsAre("faults of " + kA + ":"));
  EXPECT_EQ(table_.view()[0].devices[1].fault(), "");
}

TEST_F(NodeTableTest, NonsenseIsIgnoredAndTheStreamLives) {
  const auto stream = join(kA, "a");
  events_.take();
  v1::AgentMessage message;
  message.mutable_rank_report()->set_rank(-1);
  receive(stream, message);
  message.mutable_rendezvous_ready()->set_port(70'000);
  receive(stream, message);
  receive(stream, v1::AgentMessage());
  EXPECT_THAT(events_.take(), IsEmpty());
  EXPECT_FALSE(stream->ended);
}

TEST_F(NodeTableTest, RegisterMustComeFirstAndOnce) {
  const auto first = open();
  beat(first);
  EXPECT_TRUE(absl::IsInvalidArgument(first->ended.value()));
  const auto second = join(kA, "a");
  v1::AgentMessage message;
  message.mutable_register_();
  receive(second, message);
  EXPECT_TRUE(absl::IsInvalidArgument(second->ended.value()));
}

TEST_F(NodeTableTest, StreamThatNeverRegistersIsEnded) {
  const auto stream = open();
  pass(seconds(10));
  ASSERT_TRUE(stream->ended);
  EXPECT_TRUE(absl::IsDeadlineExceeded(*stream->ended));
}

TEST_F(NodeTableTest, ServerThatSleptBlamesNobody) {
  join(kA, "a");
  pass(seconds(2));
  events_.take();
  clock_.advance(seconds(300));
  table_.advance();
  EXPECT_THAT(events_.take(), IsEmpty());
  pass(seconds(8));
  EXPECT_THAT(events_.take(), ElementsAre(HasSubstr("unavailable"), HasSubstr("lost")));
}

TEST_F(NodeTableTest, LostNodeIsRememberedForADay) {
  join(kA, "a");
  pass(seconds(11));
  EXPECT_EQ(table_.view().size(), 1u);
  for (int hour = 0; hour < 24; ++hour) {
    for (int i = 0; i < 3600; i += 5) pass(seconds(5));
  }
  EXPECT_THAT(table_.view(), IsEmpty());
}

TEST_F(NodeTableTest, CloseAllEndsEveryStream) {
  const auto a = join(kA, "a");
  const auto unregistered = open();
  table_.close_all(absl::UnavailableError("the server is shutting down"));
  EXPECT_TRUE(absl::IsUnavailable(a->ended.value()));
  EXPECT_TRUE(absl::IsUnavailable(unregistered->ended.value()));
}

}  // namespace
}  // namespace lctl::nodes
