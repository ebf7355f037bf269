// What the engine refuses, deletes, and says of checkpoints that find no room.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/engine.h"
#include "server/jobs/testing/fake_cluster.h"
#include "storage/testing/store_fixture.h"

namespace lctl::jobs {
namespace {

using storage::text_of;
using ::testing::HasSubstr;
using ::testing::Not;

// One node of one slot; a user may have two jobs.
class EngineLimitsTest : public storage::StoreTest {
 protected:
  EngineLimitsTest() {
    auto opened = JobsEngine::open({.clock = clock_,
                                    .store = store(),
                                    .launcher = cluster_,
                                    .feed = feed_,
                                    .quotas = {.unfinished_jobs_per_user = 2}});
    EXPECT_EQ(text_of(opened.status()), "OK");
    engine_ = *std::move(opened);
    cluster_.attach(engine_.get());
    cluster_.connect(cluster_.add_node("a", 1));
    settle();
  }

  void settle() {
    engine_->settle();
    cluster_.deliver_all();
    engine_->settle();
  }
  absl::StatusOr<v1::Job> submit(const std::string& key = "", const std::string& who = "me@here") {
    v1::JobSpec spec;
    spec.set_name("digits");
    spec.set_experiment("default");
    spec.mutable_resources()->set_nodes(1);
    spec.mutable_resources()->set_devices_per_node(1);
    spec.mutable_resources()->set_accelerator("auto");
    auto job = engine_->submit(spec, who, key);
    settle();
    return job;
  }

  FakeCluster cluster_;
  JobFeed feed_;
  std::unique_ptr<JobsEngine> engine_;
};

TEST_F(EngineLimitsTest, JobBeyondTheQuotaIsRefusedUntilOneEnds) {
  ASSERT_TRUE(submit().ok());
  ASSERT_TRUE(submit("key").ok());
  const absl::Status refused = submit().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(text_of(refused), HasSubstr("the job was not accepted: user 'me': 2 of at most 2"));
  EXPECT_EQ(store().jobs().list({})->size(), 2u);
  EXPECT_TRUE(submit("key").ok()) << "the same submission again is not one more";
  EXPECT_TRUE(submit("", "you@here").ok());
  cluster_.finish_all();
  settle();
  EXPECT_TRUE(submit().ok());
}

TEST_F(EngineLimitsTest, OnlyJobsThatHaveEndedAreDeleted) {
  const JobId id(submit()->id());
  const absl::Status refused = engine_->remove(id).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(text_of(refused), HasSubstr("is RUNNING: only jobs that have ended are deleted"));
  cluster_.finish_all();
  settle();
  EXPECT_EQ(text_of(engine_->remove(id).status()), "OK");
  EXPECT_EQ(engine_->get(id).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(engine_->resume(id).status().code(), absl::StatusCode::kNotFound);
  settle();
}

TEST_F(EngineLimitsTest, ReasonSaysThatCheckpointsWaitAsLongAsTheyDo) {
  const JobId id(submit()->id());
  engine_->checkpoint_refused(id, "the disk is full");
  EXPECT_THAT(engine_->get(id)->reason(), HasSubstr("; its checkpoints wait: the disk is full"));
  v1::Job stored = *store().jobs().get(id);
  EXPECT_THAT(stored.reason(), Not(HasSubstr("wait"))) << "it is no transition";
  engine_->add_live(stored);
  EXPECT_THAT(stored.reason(), HasSubstr("the disk is full"));
  engine_->checkpoint_refused(id, "");
  EXPECT_THAT(engine_->get(id)->reason(), Not(HasSubstr("wait")));
  engine_->checkpoint_refused(JobId("nobody"), "is ignored");
}

}  // namespace
}  // namespace lctl::jobs
