#include "server/services/ingest_service.h"

#include <atomic>
#include <thread>

#include "server/services/service_fixture.h"

namespace lctl::services {
namespace {

using storage::kRecordBytes;
using storage::steps_of;
using testing::HasSubstr;

class SilentObserver final : public ingest::EventObserver {
 public:
  void on_ready(const AttemptId&, int, const v1::RankReady&) override {}
  void on_progress(const AttemptId&, const v1::Progress&) override {}
  void on_finished(const AttemptId&, int, const v1::Finished&) override { finished += 1; }
  std::atomic<int> finished = 0;
};

class IngestServiceTest : public ServiceTest {
 protected:
  IngestServiceTest() {
    job_ = storage::add_job(store());
    storage::start_attempt(store(), job_, 1);
    serve({&service_});
    stub_ = v1::Ingest::NewStub(channel_);
  }
  void TearDown() override {
    service_.shutdown();
    stop_serving();
  }

  v1::IngestBatch empty_batch(v1::StreamKind kind, std::uint64_t from, int rank = 0) const {
    v1::IngestBatch batch;
    batch.mutable_stream()->set_job_id(job_.str());
    batch.mutable_stream()->set_attempt(1);
    batch.mutable_stream()->set_rank(rank);
    batch.mutable_stream()->set_kind(kind);
    batch.set_from_offset(from);
    batch.set_to_offset(from);
    return batch;
  }
  v1::IngestBatch steps(std::int64_t first, std::int64_t count) const {
    const auto from = static_cast<std::uint64_t>(first) * kRecordBytes;
    v1::IngestBatch batch = empty_batch(v1::STREAM_KIND_EVENTS, from);
    for (const storage::SpooledEvent& record : storage::metric_records(first, count)) {
      v1::SpooledEvent& event = *batch.add_events();
      event.set_offset(record.offset);
      event.set_end_offset(record.end_offset);
      event.set_event(record.event.SerializeAsString());
      batch.set_to_offset(record.end_offset);
    }
    return batch;
  }
  v1::IngestBatch text(std::uint64_t from, std::string bytes, int rank = 0) const {
    v1::IngestBatch batch = empty_batch(v1::STREAM_KIND_STDOUT, from, rank);
    batch.set_to_offset(from + bytes.size());
    batch.set_text(std::move(bytes));
    return batch;
  }
  // Sends all without waiting, then reads one acknowledgement for each.
  std::vector<v1::IngestAck> exchange(const std::vector<v1::IngestBatch>& batches) {
    grpc::ClientContext context;
    const auto stream = stub_->Stream(&context);
    std::vector<v1::IngestAck> acks;
    std::thread reader([&] {
      v1::IngestAck ack;
      while (stream->Read(&ack)) acks.push_back(ack);
    });
    for (const v1::IngestBatch& batch : batches) EXPECT_TRUE(stream->Write(batch));
    EXPECT_TRUE(stream->WritesDone());
    reader.join();
    EXPECT_TRUE(stream->Finish().ok());
    return acks;
  }

  JobId job_;
  SilentObserver observer_;
  ingest::Intake intake_{store().events(), observer_};
  IngestService service_{intake_};
  std::unique_ptr<v1::Ingest::Stub> stub_;
};

TEST_F(IngestServiceTest, EveryBatchIsAcknowledgedInItsStreamsOrder) {
  std::vector<v1::IngestBatch> batches;
  for (int i = 0; i < 200; ++i) {
    batches.push_back(steps(5 * i, 5));
    batches.push_back(text(static_cast<std::uint64_t>(3 * i), "ab\n"));
  }
  const std::vector<v1::IngestAck> acks = exchange(batches);
  ASSERT_EQ(acks.size(), batches.size());
  for (std::size_t i = 0; i < acks.size(); ++i) {
    EXPECT_EQ(acks[i].result(), v1::IngestAck::RESULT_OK) << acks[i].message();
    EXPECT_EQ(acks[i].stream().kind(), batches[i].stream().kind());
    EXPECT_EQ(acks[i].committed_offset(), batches[i].to_offset());
  }
  EXPECT_EQ(steps_of(store(), job_).size(), 1'000u);
}

TEST_F(IngestServiceTest, WhatWasAcknowledgedStaysAndReconnectingGoesOn) {
  exchange({steps(0, 3)});
  const std::vector<v1::IngestAck> acks = exchange({steps(0, 3), steps(3, 2)});
  EXPECT_EQ(acks[0].committed_offset(), 300u);
  EXPECT_EQ(acks[1].committed_offset(), 500u);
  EXPECT_EQ(steps_of(store(), job_), (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
}

TEST_F(IngestServiceTest, OtherResultsAreNamed) {
  v1::IngestBatch fenced = steps(0, 1);
  fenced.mutable_stream()->set_attempt(7);
  v1::IngestBatch broken = text(0, "abc");
  broken.set_to_offset(9);
  const std::vector<v1::IngestAck> acks = exchange({steps(5, 1), fenced, broken});
  ASSERT_EQ(acks.size(), 3u);
  EXPECT_EQ(acks[0].result(), v1::IngestAck::RESULT_GAP);
  EXPECT_EQ(acks[0].committed_offset(), 0u);
  EXPECT_EQ(acks[1].result(), v1::IngestAck::RESULT_FENCED);
  EXPECT_EQ(acks[1].stream().attempt(), 7);
  EXPECT_EQ(acks[2].result(), v1::IngestAck::RESULT_INVALID);
  EXPECT_EQ(acks[2].committed_offset(), 9u);
  EXPECT_THAT(acks[2].message(), HasSubstr("3 bytes of text"));
}

TEST_F(IngestServiceTest, BatchesOfTheLargestSizeGoThrough) {
  const std::string large(4 << 20, 'x');
  const std::vector<v1::IngestAck> acks = exchange({text(0, large), text(large.size(), large)});
  ASSERT_EQ(acks.size(), 2u);
  EXPECT_EQ(acks[1].committed_offset(), 2 * large.size());
}

TEST_F(IngestServiceTest, ObserverHearsOfEventsOnce) {
  v1::Event finished;
  finished.mutable_finished()->set_message("done");
  v1::IngestBatch batch = empty_batch(v1::STREAM_KIND_EVENTS, 0, 1);
  v1::SpooledEvent& event = *batch.add_events();
  event.set_end_offset(kRecordBytes);
  event.set_event(finished.SerializeAsString());
  batch.set_to_offset(kRecordBytes);
  exchange({batch, batch});
  EXPECT_EQ(observer_.finished, 1);
}

TEST_F(IngestServiceTest, NodesAtTheSameTimeKeepTheirOrder) {
  constexpr int kNodes = 6;
  std::vector<std::thread> nodes;
  for (int rank = 0; rank < kNodes; ++rank) {
    nodes.emplace_back([this, rank] {
      std::vector<v1::IngestBatch> batches;
      for (std::uint64_t i = 0; i < 50; ++i) batches.push_back(text(i * 5, "line\n", rank));
      for (const v1::IngestAck& ack : exchange(batches)) {
        EXPECT_EQ(ack.result(), v1::IngestAck::RESULT_OK) << ack.message();
      }
    });
  }
  for (std::thread& node : nodes) node.join();
  for (int rank = 0; rank < kNodes; ++rank) {
    EXPECT_EQ(*store().events().committed_offset({{job_, 1}, rank, storage::StreamKind::kStdout}),
              250u);
  }
}

TEST_F(IngestServiceTest, ShutdownEndsOpenStreamsAtOnce) {
  grpc::ClientContext context;
  const auto stream = stub_->Stream(&context);
  ASSERT_TRUE(stream->Write(steps(0, 1)));
  v1::IngestAck ack;
  ASSERT_TRUE(stream->Read(&ack));
  service_.shutdown();
  EXPECT_FALSE(stream->Read(&ack));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  stop_serving();  // returns, since no call is left
  EXPECT_EQ(steps_of(store(), job_).size(), 1u);
}

}  // namespace
}  // namespace lctl::services
