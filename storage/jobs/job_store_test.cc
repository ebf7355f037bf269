#include "storage/jobs/job_store.h"

#include <chrono>

#include "google/protobuf/util/message_differencer.h"
#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::HasSubstr;

class JobStoreTest : public StoreTest {
 protected:
  JobStore& jobs() { return store().jobs(); }

  absl::Status commit(const JobChange& change) { return jobs().record({&change, 1}); }
};

TEST_F(JobStoreTest, CreatedJobComesBackWholeAlsoAfterReopening) {
  v1::Job job = make_job("aaaaaaaaaa", "digits");
  (*job.mutable_spec()->mutable_environment())["A"] = "b";
  ASSERT_EQ(text_of(jobs().create({.job = job}, "").status()), "OK");
  reopen();

  const absl::StatusOr<v1::Job> read = jobs().get(JobId("aaaaaaaaaa"));

  ASSERT_EQ(text_of(read.status()), "OK");
  EXPECT_TRUE(MessageDifferencer::Equals(*read, job)) << read->DebugString();
}

TEST_F(JobStoreTest, UnknownJobIsNotFound) {
  EXPECT_EQ(jobs().get(JobId("nothing")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(jobs().attempts(JobId("nothing")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(commit({.job = make_job("nothing", "x")}).code(), absl::StatusCode::kNotFound);
}

TEST_F(JobStoreTest, TakenIdIsRefused) {
  add_job(store());
  EXPECT_EQ(jobs().create({.job = make_job("aaaaaaaaaa", "other")}, "").status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(JobStoreTest, IdempotencyKeyReturnsTheFirstJobForADay) {
  ASSERT_EQ(jobs().create({.job = make_job("aaaaaaaaaa", "x")}, "key")->str(), "aaaaaaaaaa");
  clock_.advance(std::chrono::hours(23));
  EXPECT_EQ(jobs().create({.job = make_job("bbbbbbbbbb", "x")}, "key")->str(), "aaaaaaaaaa");
  EXPECT_EQ(jobs().list({})->size(), 1u);
  clock_.advance(std::chrono::hours(2));
  EXPECT_EQ(jobs().create({.job = make_job("bbbbbbbbbb", "x")}, "key")->str(), "bbbbbbbbbb");
  EXPECT_EQ(jobs().create({.job = make_job("cccccccccc", "x")}, "key")->str(), "bbbbbbbbbb");
}

TEST_F(JobStoreTest, ChangesOfOneRecordAreCommittedTogetherOrNotAtAll) {
  add_job(store(), "aaaaaaaaaa", "first");
  v1::Job changed = make_job("aaaaaaaaaa", "first");
  changed.set_state(v1::JOB_STATE_FAILED);
  const std::vector<JobChange> changes = {{.job = changed}, {.job = make_job("missing", "x")}};

  EXPECT_EQ(jobs().record(changes).code(), absl::StatusCode::kNotFound);

  EXPECT_EQ(jobs().get(JobId("aaaaaaaaaa"))->state(), v1::JOB_STATE_QUEUED);
}

TEST_F(JobStoreTest, TransitionsStayInOrderWithTheirReasons) {
  const JobId id = add_job(store());
  for (int i = 0; i < 12; ++i) {
    JobChange change{.job = make_job(id.str(), "digits"), .transition = v1::Transition()};
    change.transition->set_reason("reason " + std::to_string(i));
    change.transition->set_from(v1::JOB_STATE_QUEUED);
    change.transition->set_to(v1::JOB_STATE_STARTING);
    change.transition->set_time_us(i);
    change.transition->set_attempt(1);
    ASSERT_EQ(text_of(commit(change)), "OK");
  }
  const auto transitions = *jobs().transitions(id);
  ASSERT_EQ(transitions.size(), 13u);
  EXPECT_EQ(transitions[0].reason(), "submitted");
  EXPECT_EQ(transitions[12].reason(), "reason 11");
  EXPECT_EQ(transitions[12].to(), v1::JOB_STATE_STARTING);
  EXPECT_EQ(transitions[12].attempt(), 1);
}

TEST_F(JobStoreTest, AttemptIsReplacedWithItsRanks) {
  const JobId id = add_job(store());
  JobChange change{.job = make_job(id.str(), "digits"), .attempt = v1::Attempt()};
  change.job.set_attempt(1);
  change.attempt->set_number(1);
  for (int rank = 0; rank < 3; ++rank) {
    v1::RankStatus& status = *change.attempt->add_ranks();
    status.set_rank(rank);
    status.set_node_name("n" + std::to_string(rank));
    status.set_device_index(rank);
    status.set_state(v1::RANK_STATE_LAUNCHING);
  }
  ASSERT_EQ(text_of(commit(change)), "OK");
  change.attempt->mutable_ranks()->RemoveLast();
  change.attempt->mutable_ranks(1)->set_state(v1::RANK_STATE_EXITED);
  change.attempt->mutable_ranks(1)->set_exit_code(137);
  change.attempt->set_outcome("failed");
  ASSERT_EQ(text_of(commit(change)), "OK");

  const auto attempts = *jobs().attempts(id);
  ASSERT_EQ(attempts.size(), 1u);
  EXPECT_TRUE(MessageDifferencer::Equals(attempts[0], *change.attempt))
      << attempts[0].DebugString();
  EXPECT_EQ(jobs().get(id)->ranks_size(), 2);
}

TEST_F(JobStoreTest, AttemptNumberNeverGoesBack) {
  const JobId id = add_job(store());
  start_attempt(store(), id, 2);
  v1::Job back = make_job(id.str(), "digits");
  back.set_attempt(1);
  const absl::Status status = commit({.job = back});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(text_of(status), HasSubstr("cannot go back from 2 to 1"));
}

TEST_F(JobStoreTest, AttemptCannotResumeFromACheckpointThatTheJobLacks) {
  const JobId id = add_job(store());
  JobChange change{.job = make_job(id.str(), "digits"), .attempt = v1::Attempt()};
  change.attempt->set_number(1);
  change.attempt->set_resumed_from_checkpoint("no-such-one");
  EXPECT_EQ(commit(change).code(), absl::StatusCode::kNotFound);
}

TEST_F(JobStoreTest, RanksCarryTheirOwnLastWords) {
  const JobId id = add_job(store());
  start_attempt(store(), id, 1);
  v1::Event ready, finished;
  ready.mutable_ready()->set_pid(4711);
  finished.set_time_us(99);
  finished.mutable_finished()->set_message("loss is NaN at step 12");
  finished.mutable_finished()->set_parameters_sha256("abc");
  finished.mutable_finished()->set_outcome(v1::Finished::OUTCOME_FAILED);
  const StreamKey stream{{id, 1}, 0, StreamKind::kEvents};
  ASSERT_TRUE(store()
                  .events()
                  .apply(stream, 0, 2 * kRecordBytes, {record(0, ready), record(100, finished)})
                  .ok());

  const v1::RankStatus rank = jobs().get(id)->ranks(0);
  EXPECT_EQ(rank.pid(), 4711);
  EXPECT_EQ(rank.message(), "loss is NaN at step 12");
  EXPECT_EQ(rank.parameters_sha256(), "abc");
  EXPECT_EQ(rank.state(), v1::RANK_STATE_RUNNING) << "placement stays the server's";
  const auto result = *store().events().rank_result({id, 1}, 0);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->time_us, 99);
  EXPECT_EQ(result->finished.outcome(), v1::Finished::OUTCOME_FAILED);
  EXPECT_FALSE(store().events().rank_result({id, 1}, 1)->has_value());
}

TEST_F(JobStoreTest, ListIsNewestFirstFilteredAndLimited) {
  add_job(store(), "aaaaaaaaaa", "one");
  v1::Job other = make_job("bbbbbbbbbb", "two");
  other.mutable_spec()->set_experiment("other");
  other.set_state(v1::JOB_STATE_FAILED);
  ASSERT_TRUE(jobs().create({.job = other}, "").ok());
  add_job(store(), "cccccccccc", "three");
  const auto ids = [&](const JobFilter& filter) {
    std::vector<std::string> names;
    const absl::StatusOr<std::vector<v1::Job>> listed = jobs().list(filter);
    for (const v1::Job& job : *listed) names.push_back(job.id());
    return names;
  };
  EXPECT_THAT(ids({}), ElementsAre("cccccccccc", "bbbbbbbbbb", "aaaaaaaaaa"));
  EXPECT_THAT(ids({.experiments = {"other"}}), ElementsAre("bbbbbbbbbb"));
  EXPECT_THAT(ids({.states = {v1::JOB_STATE_QUEUED, v1::JOB_STATE_RUNNING}}),
              ElementsAre("cccccccccc", "aaaaaaaaaa"));
  EXPECT_THAT(ids({.limit = 1}), ElementsAre("cccccccccc"));
  EXPECT_THAT(ids({.limit = 1, .before = "cccccccccc"}), ElementsAre("bbbbbbbbbb"));
  EXPECT_THAT(ids({.before = "aaaaaaaaaa"}), ElementsAre());
  EXPECT_TRUE(absl::IsNotFound(jobs().list({.before = "zzzzzzzzzz"}).status()));
  EXPECT_EQ(jobs().list({.limit = 0}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(JobStoreTest, ListLeavesOutTheConfiguration) {
  const JobId id = add_job(store());
  const std::vector<v1::Job> listed = *jobs().list({});
  EXPECT_EQ(listed.at(0).spec().config_yaml(), "");
  EXPECT_EQ(listed.at(0).spec().name(), "digits");
  EXPECT_NE(jobs().get(id)->spec().config_yaml(), "");
}

TEST_F(JobStoreTest, ExperimentsAreCountedNewestFirst) {
  for (int i = 0; i < 3; ++i) {
    v1::Job job = make_job("aaaaaaaaa" + std::string(1, static_cast<char>('a' + i)), "x");
    job.mutable_spec()->set_experiment(i == 1 ? "old" : "new");
    job.set_submitted_us(i == 1 ? 10 : 20 + i);
    ASSERT_TRUE(jobs().create({.job = job}, "").ok());
  }
  const auto rows = *jobs().experiments();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].name, "new");
  EXPECT_EQ(rows[0].jobs, 2);
  EXPECT_EQ(rows[0].last_submitted_us, 22);
  EXPECT_EQ(rows[1].name, "old");
}

TEST_F(JobStoreTest, ReferencesResolveToIdNamePrefixAndLast) {
  EXPECT_EQ(jobs().resolve("@last").status().code(), absl::StatusCode::kNotFound);
  add_job(store(), "abcdefghij", "digits");
  add_job(store(), "abzzzzzzzz", "digits");
  add_job(store(), "mnopqrstuv", "abc");
  EXPECT_EQ(jobs().resolve("abcdefghij")->str(), "abcdefghij");
  EXPECT_EQ(jobs().resolve("digits")->str(), "abzzzzzzzz") << "the newest of that name";
  EXPECT_EQ(jobs().resolve("mn")->str(), "mnopqrstuv");
  EXPECT_EQ(jobs().resolve("abz")->str(), "abzzzzzzzz");
  EXPECT_EQ(jobs().resolve("abc")->str(), "mnopqrstuv") << "a whole name wins over a prefix";
  EXPECT_EQ(jobs().resolve("@last")->str(), "mnopqrstuv");
}

TEST_F(JobStoreTest, UnresolvedReferencesSayWhatThereIs) {
  add_job(store(), "abcdefghij", "digits");
  add_job(store(), "abzzzzzzzz", "words");
  const absl::Status ambiguous = jobs().resolve("ab").status();
  EXPECT_EQ(ambiguous.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(text_of(ambiguous),
              HasSubstr("abzzzzzzzz (words), abcdefghij (digits); give more characters"));
  const absl::Status unknown = jobs().resolve("xyz").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(text_of(unknown), HasSubstr("the newest are abzzzzzzzz (words)"));
  EXPECT_EQ(jobs().resolve("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(jobs().resolve("a' OR 1=1 --").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(JobStoreTest, NodesAreKeptAsLastRegistered) {
  ASSERT_TRUE(jobs().upsert_node({.id = NodeId("n2"), .name = "b", .address = "x"}).ok());
  ASSERT_TRUE(jobs().upsert_node({.id = NodeId("n1"), .name = "a", .address = "y"}).ok());
  ASSERT_TRUE(jobs()
                  .upsert_node({.id = NodeId("n2"), .name = "b", .address = "z", .last_seen_us = 7})
                  .ok());
  const auto nodes = *jobs().nodes();
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(nodes[0].name, "a");
  EXPECT_EQ(nodes[1].address, "z");
  EXPECT_EQ(nodes[1].last_seen_us, 7);
}

TEST_F(JobStoreTest, DrainedNodeStaysSoWhateverItRegisters) {
  EXPECT_EQ(jobs().set_drained(NodeId("n1"), 5, "disk").code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(jobs().upsert_node({.id = NodeId("n1"), .name = "a", .address = "x"}).ok());
  ASSERT_TRUE(jobs().set_drained(NodeId("n1"), 5, "new disk").ok());
  ASSERT_TRUE(jobs().upsert_node({.id = NodeId("n1"), .name = "b", .address = "y"}).ok());
  reopen();
  EXPECT_EQ((*jobs().nodes())[0].name, "b");
  EXPECT_EQ((*jobs().nodes())[0].drained_us, 5);
  EXPECT_EQ((*jobs().nodes())[0].drain_reason, "new disk");
  ASSERT_TRUE(jobs().set_drained(NodeId("n1"), 0, "").ok());
  EXPECT_EQ((*jobs().nodes())[0].drained_us, 0);
}

TEST_F(JobStoreTest, WhatRestartsGoByIsKept) {
  add_job(store());
  v1::Job job = make_job("aaaaaaaaaa", "digits");
  job.set_attempt(1);
  job.set_retries_cancelled("log policy `NaN` matched");
  for (const char* name : {"b", "a"}) {
    v1::ExcludedNode& node = *job.add_excluded_nodes();
    node.set_node_id(std::string("id-") + name);
    node.set_node_name(name);
    node.set_reason("Xid 79");
  }
  v1::Attempt attempt;
  attempt.set_number(1);
  attempt.set_cause(v1::END_CAUSE_INFRASTRUCTURE);
  attempt.set_culprit(0);
  attempt.set_ended_at_step(17);
  attempt.set_blamed_node("id-a");
  attempt.add_ranks();
  ASSERT_EQ(text_of(commit({.job = job, .attempt = attempt})), "OK");
  reopen();
  v1::Job read = *jobs().get(JobId("aaaaaaaaaa"));
  EXPECT_EQ(read.retries_cancelled(), "log policy `NaN` matched");
  ASSERT_EQ(read.excluded_nodes_size(), 2);
  EXPECT_EQ(read.excluded_nodes(0).node_name(), "a");
  EXPECT_EQ(read.excluded_nodes(1).reason(), "Xid 79");
  const v1::Attempt stored = (*jobs().attempts(JobId("aaaaaaaaaa")))[0];
  EXPECT_EQ(stored.cause(), v1::END_CAUSE_INFRASTRUCTURE);
  EXPECT_TRUE(stored.has_culprit());
  EXPECT_EQ(stored.ended_at_step(), 17);
  EXPECT_EQ(stored.blamed_node(), "id-a");

  job.clear_excluded_nodes();
  attempt.clear_culprit();
  ASSERT_EQ(text_of(commit({.job = job, .attempt = attempt})), "OK");
  EXPECT_TRUE(jobs().get(JobId("aaaaaaaaaa"))->excluded_nodes().empty());
  EXPECT_FALSE((*jobs().attempts(JobId("aaaaaaaaaa")))[0].has_culprit());
}

TEST_F(JobStoreTest, TheCodeOfAJobStaysAndGoesWithIt) {
  v1::SourceCode source;
  source.set_commit("0123abc");
  source.set_branch("main");
  source.set_diff(std::string("diff --git a/a b/a\n\0\xff", 21));
  source.add_untracked("new.py");
  const JobId id("aaaaaaaaaa");
  v1::Job job = make_job(id.str(), "digits");
  job.set_state(v1::JOB_STATE_FAILED);
  ASSERT_TRUE(jobs().create({.job = job, .source = source}, "").ok());
  add_job(store(), "bbbbbbbbbb", "without");
  reopen();

  EXPECT_TRUE(MessageDifferencer::Equals(**jobs().source(id, /*with_diff=*/true), source));
  v1::SourceCode short_source = source;
  short_source.clear_diff();
  EXPECT_TRUE(MessageDifferencer::Equals(**jobs().source(id, /*with_diff=*/false), short_source));
  EXPECT_FALSE(jobs().source(JobId("bbbbbbbbbb"), true)->has_value());
  EXPECT_EQ(jobs().source(JobId("missing"), true).status().code(), absl::StatusCode::kNotFound);

  ASSERT_TRUE(jobs().remove(id).ok());
  ASSERT_TRUE(jobs().create({.job = job}, "").ok());
  EXPECT_FALSE(jobs().source(id, true)->has_value());
}

}  // namespace
}  // namespace lctl::storage
