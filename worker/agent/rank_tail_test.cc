#include "worker/agent/rank_tail.h"

#include <sys/stat.h>

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/spool/spool_writer.h"

namespace lctl::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr v1::StreamKind kEvents = v1::STREAM_KIND_EVENTS;
constexpr v1::StreamKind kStdout = v1::STREAM_KIND_STDOUT;

class RankTailTest : public ::testing::Test {
 protected:
  RankTailTest()
      : data_dir_(std::filesystem::path(testing::TempDir()) / "rank_tail_test"),
        folder_((std::filesystem::remove_all(data_dir_), data_dir_), id_) {
    v1::Launch launch;
    launch.add_ranks()->set_rank(0);
    EXPECT_TRUE(folder_.create(launch, "boot").ok());
    writer_ = *spool::SpoolWriter::open({.file = folder_.spool(0)});
    open();
  }

  // A daemon that starts.
  void open() {
    announced_.clear();
    matched_.clear();
    tail_ = std::make_unique<RankTail>(
        id_, 0, folder_, policies_,
        [this](const v1::CheckpointWritten& written, std::int64_t) {
          announced_.push_back(written.file());
        },
        [this](int policy, const std::string& line) {
          matched_.push_back(std::to_string(policy) + ": " + line);
        });
  }

  void write_log(const std::string& text) {
    v1::Event event;
    event.mutable_log()->set_text(text);
    ASSERT_TRUE(writer_->append(event).ok());
    ASSERT_TRUE(writer_->flush().ok());
  }
  void write_checkpoint(const std::string& file, std::int64_t step = 0) {
    std::ofstream(folder_.stage(0) / file) << "content";
    v1::Event event;
    event.mutable_checkpoint()->set_file(file);
    event.mutable_checkpoint()->set_global_step(step);
    ASSERT_TRUE(writer_->append(event).ok());
    ASSERT_TRUE(writer_->flush().ok());
  }
  void print(const std::string& text) {
    std::ofstream(folder_.rank(0) / "stdout", std::ios::app) << text << std::flush;
  }

  std::optional<v1::IngestBatch> next(v1::StreamKind kind) {
    auto batch = tail_->next_batch(kind, 0);
    EXPECT_TRUE(batch.ok()) << message_of(batch.status());
    return batch.ok() ? *std::move(batch) : std::nullopt;
  }
  // The events of the next batch; "" for one that is no log line.
  std::vector<std::string> next_logs() {
    std::vector<std::string> logs;
    if (const auto batch = next(kEvents)) {
      for (const v1::SpooledEvent& spooled : batch->events()) {
        v1::Event event;
        EXPECT_TRUE(event.ParseFromString(spooled.event()));
        logs.push_back(event.log().text());
      }
    }
    return logs;
  }
  bool answer(v1::StreamKind kind, std::uint64_t committed,
              v1::IngestAck::Result result = v1::IngestAck::RESULT_OK) {
    v1::IngestAck ack;
    ack.mutable_stream()->set_kind(kind);
    ack.set_committed_offset(committed);
    ack.set_result(result);
    return tail_->acknowledge(ack);
  }
  void acknowledge_all() {
    for (const v1::StreamKind kind : {kEvents, kStdout, v1::STREAM_KIND_STDERR}) {
      while (const auto batch = next(kind)) answer(kind, batch->to_offset());
    }
  }

  const AttemptId id_{JobId("abcdefghij"), 1};
  const std::filesystem::path data_dir_;
  const RunFolder folder_;
  std::unique_ptr<spool::SpoolWriter> writer_;
  std::unique_ptr<RankTail> tail_;
  std::vector<std::string> announced_;
  google::protobuf::RepeatedPtrField<v1::LogPolicy> policies_;
  std::vector<std::string> matched_;
};

TEST_F(RankTailTest, BatchesFollowOnEachOther) {
  write_log("a");
  const auto first = next(kEvents);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->from_offset(), 0u);  // the file's header belongs to the first batch
  EXPECT_EQ(first->events(0).offset(), 8u);
  EXPECT_EQ(next(kEvents), std::nullopt);
  write_log("b");
  write_log("c");
  const auto second = next(kEvents);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->from_offset(), first->to_offset());
  EXPECT_EQ(second->events_size(), 2);
  EXPECT_EQ(second->events(1).end_offset(), second->to_offset());

  print("one\n");
  const auto text = next(kStdout);
  ASSERT_TRUE(text.has_value());
  EXPECT_EQ(text->text(), "one\n");
  EXPECT_EQ(text->to_offset(), 4u);
  EXPECT_EQ(next(v1::STREAM_KIND_STDERR), std::nullopt);
}

TEST_F(RankTailTest, OnlySoMuchIsUnderWayUnacknowledged) {
  print(std::string(6 << 20, 'x'));
  std::uint64_t sent = 0;
  int batches = 0;
  while (const auto batch = next(kStdout)) {
    EXPECT_LE(batch->text().size(), kMaxBatchBytes);
    sent = batch->to_offset();
    ++batches;
  }
  EXPECT_EQ(batches, 4);
  EXPECT_EQ(sent, kMaxUnacknowledgedBytes);
  answer(kStdout, 1 << 20);
  EXPECT_EQ(next(kStdout)->from_offset(), sent);
  EXPECT_EQ(next(kStdout), std::nullopt);
}

TEST_F(RankTailTest, RestartGoesOnBehindWhatWasAcknowledged) {
  write_log("a");
  const auto first = next(kEvents);
  write_log("b");
  next(kEvents);
  answer(kEvents, first->to_offset());
  open();
  EXPECT_THAT(next_logs(), ElementsAre("b"));
}

TEST_F(RankTailTest, ReconnectSendsWhatWasNotAcknowledged) {
  write_log("a");
  answer(kEvents, next(kEvents)->to_offset());
  write_log("b");
  EXPECT_THAT(next_logs(), ElementsAre("b"));
  EXPECT_THAT(next_logs(), IsEmpty());
  tail_->rewind();
  EXPECT_THAT(next_logs(), ElementsAre("b"));
}

TEST_F(RankTailTest, GapGoesBackToWhatTheServerHas) {
  write_log("a");
  const std::uint64_t a = next(kEvents)->to_offset();
  write_log("b");
  answer(kEvents, next(kEvents)->to_offset());
  EXPECT_TRUE(answer(kEvents, a, v1::IngestAck::RESULT_GAP));
  EXPECT_THAT(next_logs(), ElementsAre("b"));
  EXPECT_EQ(folder_.offsets(0).events, a);
}

TEST_F(RankTailTest, RetrySendsAgainAndFencedIsTold) {
  write_log("a");
  next(kEvents);
  EXPECT_TRUE(answer(kEvents, 0, v1::IngestAck::RESULT_RETRY));
  EXPECT_THAT(next_logs(), ElementsAre("a"));
  EXPECT_FALSE(answer(kEvents, 0, v1::IngestAck::RESULT_FENCED));
}

TEST_F(RankTailTest, ServerThatHasMoreIsBelieved) {
  print("0123456789");
  next(kStdout);
  tail_->rewind();  // the acknowledgement was lost with its stream
  answer(kStdout, 10);
  EXPECT_EQ(next(kStdout), std::nullopt);
  EXPECT_EQ(folder_.offsets(0).out, 10u);
}

TEST_F(RankTailTest, LateAcknowledgementDoesNotGoBack) {
  print("0123456789");
  next(kStdout);
  answer(kStdout, 10);
  answer(kStdout, 4);
  EXPECT_EQ(folder_.offsets(0).out, 10u);
}

TEST_F(RankTailTest, DrainedOnlyWhenAllOfAnEndedRankIsAcknowledged) {
  write_log("a");
  print("x");
  acknowledge_all();
  EXPECT_FALSE(tail_->drained());  // it runs
  // Written between the last look and the end.
  write_log("last words");
  tail_->process_ended();
  EXPECT_FALSE(tail_->drained());
  const auto batch = next(kEvents);
  ASSERT_TRUE(batch.has_value());
  EXPECT_FALSE(tail_->drained());
  answer(kEvents, batch->to_offset());
  EXPECT_EQ(next(kEvents), std::nullopt);
  EXPECT_TRUE(tail_->drained());
}

TEST_F(RankTailTest, UnsentOutputKeepsARankFromBeingDrained) {
  acknowledge_all();
  tail_->process_ended();
  acknowledge_all();
  EXPECT_TRUE(tail_->drained());
  print("from a grandchild");
  EXPECT_FALSE(tail_->drained());
}

TEST_F(RankTailTest, RankThatNeverWroteIsDrained) {
  writer_.reset();
  std::filesystem::remove(folder_.spool(0));
  open();
  tail_->process_ended();
  EXPECT_EQ(next(kEvents), std::nullopt);
  EXPECT_TRUE(tail_->drained());
}

TEST_F(RankTailTest, TornLastRecordOfADeadRankIsDropped) {
  write_log("whole");
  writer_.reset();
  std::ofstream(folder_.spool(0), std::ios::app | std::ios::binary) << "\x20";
  tail_->process_ended();
  acknowledge_all();
  EXPECT_TRUE(tail_->drained());
}

TEST_F(RankTailTest, DamageIsToldOnceAndEndsTheEvents) {
  write_log("good");
  writer_.reset();
  std::ofstream(folder_.spool(0), std::ios::app | std::ios::binary)
      << std::string("\x05\0\0\0wrongabcde", 14) << std::string(100, 'z');
  EXPECT_THAT(next_logs(), ElementsAre("good"));
  EXPECT_TRUE(absl::IsDataLoss(tail_->next_batch(kEvents, 0).status()));
  EXPECT_EQ(next(kEvents), std::nullopt);
  tail_->rewind();
  EXPECT_THAT(next_logs(), ElementsAre("good"));
  EXPECT_EQ(next(kEvents), std::nullopt);
  const auto note = next(v1::STREAM_KIND_STDERR);
  ASSERT_TRUE(note.has_value());
  EXPECT_THAT(note->text(), HasSubstr("is damaged at byte"));
  EXPECT_EQ(next(v1::STREAM_KIND_STDERR), std::nullopt);
  tail_->process_ended();
  tail_->rewind();
  acknowledge_all();
  EXPECT_TRUE(tail_->drained());
}

TEST_F(RankTailTest, CheckpointIsAnnouncedOnceHoweverOftenItIsSent) {
  write_checkpoint("a.ckpt");
  acknowledge_all();
  EXPECT_THAT(announced_, ElementsAre("a.ckpt"));
  answer(kEvents, 0, v1::IngestAck::RESULT_GAP);  // a server that was restored from a backup
  acknowledge_all();
  EXPECT_THAT(announced_, ElementsAre("a.ckpt"));
}

TEST_F(RankTailTest, CheckpointWaitsUntilTheEventsBeforeItAreStored) {
  write_log("its past");
  const auto past = next(kEvents);
  write_checkpoint("a.ckpt");
  const auto announcement = next(kEvents);
  EXPECT_THAT(announced_, IsEmpty());
  answer(kEvents, past->to_offset());
  EXPECT_THAT(announced_, IsEmpty());
  answer(kEvents, announcement->to_offset());
  EXPECT_THAT(announced_, ElementsAre("a.ckpt"));
}

TEST_F(RankTailTest, CheckpointThatTheServerKnowsBeforeItIsSentAgainIsAnnounced) {
  write_log("a");
  next(kEvents);
  write_checkpoint("a.ckpt");
  const std::uint64_t end = next(kEvents)->to_offset();
  tail_->rewind();
  answer(kEvents, end);  // an earlier stream had brought it that far
  EXPECT_THAT(announced_, ElementsAre("a.ckpt"));
}

TEST_F(RankTailTest, RestartAnnouncesAcknowledgedCheckpointsThatStillWait) {
  write_checkpoint("stored.ckpt");
  write_checkpoint("waiting.ckpt");
  write_checkpoint("second.ckpt");
  acknowledge_all();
  write_checkpoint("unsent.ckpt");
  std::filesystem::remove(folder_.stage(0) / "stored.ckpt");
  open();
  EXPECT_THAT(announced_, ElementsAre("waiting.ckpt", "second.ckpt"));
  acknowledge_all();
  EXPECT_THAT(announced_, ElementsAre("waiting.ckpt", "second.ckpt", "unsent.ckpt"));
}

TEST_F(RankTailTest, NameThatWasUsedTwiceIsAnnouncedOnceAfterARestart) {
  write_checkpoint("last.ckpt", 1);
  write_checkpoint("other.ckpt", 2);
  write_checkpoint("last.ckpt", 3);
  acknowledge_all();
  open();
  EXPECT_THAT(announced_, ElementsAre("other.ckpt", "last.ckpt"));
}

TEST_F(RankTailTest, MatchOfALogPolicyIsToldOnceAlsoByADaemonThatIsRestarted) {
  policies_.Add()->set_pattern("Xid");
  policies_.Add()->set_pattern("^lost$");
  open();
  print("NVRM: Xid 79\nlo");
  acknowledge_all();
  EXPECT_THAT(matched_, ElementsAre("0: NVRM: Xid 79"));
  open();
  print("st\nXid 80\n");
  const auto batch = next(kStdout);
  ASSERT_TRUE(batch.has_value());
  EXPECT_EQ(batch->text(), "st\nXid 80\n") << "only what the server lacks";
  EXPECT_THAT(matched_, ElementsAre("1: lost"));
  EXPECT_THAT(folder_.log_matches(0),
              ElementsAre(testing::Pair(0, "NVRM: Xid 79"), testing::Pair(1, "lost")));
}

TEST_F(RankTailTest, LastLineOfARankThatEndedNeedsNoEnd) {
  policies_.Add()->set_pattern("out of memory");
  open();
  print("CUDA out of memory");
  acknowledge_all();
  EXPECT_THAT(matched_, IsEmpty());
  tail_->process_ended();
  acknowledge_all();
  EXPECT_THAT(matched_, ElementsAre("0: CUDA out of memory"));
}

TEST_F(RankTailTest, SpaceOfAcknowledgedOutputIsReleasedButForATail) {
  print(std::string(5 << 20, 'x'));
  while (const auto batch = next(kStdout)) answer(kStdout, batch->to_offset());
  struct stat status = {};
  ASSERT_EQ(stat((folder_.rank(0) / "stdout").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 5 << 20);
  EXPECT_LE(status.st_blocks * 512, static_cast<long>(kKeptConsoleBytes) + (1 << 20));
  // What comes later is where it belongs, and the tail can still be read.
  print("end");
  const auto batch = next(kStdout);
  ASSERT_TRUE(batch.has_value());
  EXPECT_EQ(batch->from_offset(), std::uint64_t{5} << 20);
  EXPECT_EQ(batch->text(), "end");
  std::ifstream in(folder_.rank(0) / "stdout");
  in.seekg((5 << 20) - static_cast<long>(kKeptConsoleBytes));
  EXPECT_EQ(in.get(), 'x');
}

}  // namespace
}  // namespace lctl::agent
