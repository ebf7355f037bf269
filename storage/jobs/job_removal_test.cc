#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <tuple>

#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class JobRemovalTest : public StoreTest {
 protected:
  // 8 bytes that no other job has.
  static std::string states_of(std::string_view id) {
    return std::string() + id[0] + "one" + id[0] + "two";
  }
  // A job with a bit of everything, in that state.
  JobId full_job(std::string_view id, v1::JobState state, std::int64_t finished_us = 0) {
    const JobId job = add_job(store(), id, std::string(id) + "-name");
    start_attempt(store(), job, 1);
    log_steps(store(), {job, 1}, 0, 10);
    EXPECT_TRUE(
        store().events().append_text({{job, 1}, 0, StreamKind::kStdout}, 0, "hello\n", 1).ok());
    EXPECT_TRUE(store().jobs().label(job, {.tags = {{"team", "x"}}, .note = "a note"}).ok());
    const auto first =
        upload(store(), {{job, 1}, 3, v1::CHECKPOINT_KIND_RECOVERY, "", states_of(id)});
    EXPECT_TRUE(
        upload(store(), {{job, 1}, 6, v1::CHECKPOINT_KIND_MODEL, "last.ckpt", "shared!!"}).ok());
    start_attempt(store(), job, 2, first->str());
    set_state(job, state, finished_us);
    return job;
  }
  void set_state(const JobId& id, v1::JobState state, std::int64_t finished_us) {
    v1::Job job = *store().jobs().get(id);
    job.set_state(state);
    job.set_finished_us(finished_us);
    const JobChange change{.job = job};
    ASSERT_EQ(text_of(store().jobs().record({&change, 1})), "OK");
  }
  // Rows of all tables but those that belong to no job.
  std::int64_t rows() {
    SQLite::Database database(dir() / "lctl.db", SQLite::OPEN_READONLY, 1000);
    std::int64_t all = 0;
    SQLite::Statement tables(database,
                             "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN"
                             " ('schema_version', 'nodes', 'dropped_chunks')"
                             " AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'job_texts%'");
    while (tables.executeStep()) {
      all +=
          database.execAndGet("SELECT count(*) FROM " + tables.getColumn(0).getString()).getInt64();
    }
    return all;
  }
};

TEST_F(JobRemovalTest, RemovedJobLeavesNoRowAndOthersStayWhole) {
  const JobId kept = full_job("bbbbbbbbbb", v1::JOB_STATE_RUNNING);
  const std::int64_t before = rows();
  const JobId job = full_job("aaaaaaaaaa", v1::JOB_STATE_SUCCEEDED);
  EXPECT_GT(rows(), before);
  const auto bytes = store().jobs().remove(job);
  ASSERT_EQ(text_of(bytes.status()), "OK");
  EXPECT_EQ(*bytes, 8) << "what it shares with the other was stored by that";
  EXPECT_EQ(rows(), before);
  EXPECT_EQ(store().jobs().get(job).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().jobs().remove(job).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(*store().jobs().list({.search = "aaaaaaaaaa"}), IsEmpty());
  EXPECT_EQ(store().checkpoints().collect_dropped()->bytes, 8);
  EXPECT_EQ(text_of(store().check_integrity()), "OK");
  EXPECT_EQ(steps_of(store(), kept).size(), 3u) << "as far as its checkpoint";
}

TEST_F(JobRemovalTest, JobThatHasNotEndedIsNotTouched) {
  const JobId job = full_job("aaaaaaaaaa", v1::JOB_STATE_STOPPING);
  const std::int64_t before = rows();
  for (const absl::Status& status :
       {store().jobs().remove(job).status(), store().jobs().remove_output(job),
        store().checkpoints().trim(job).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(text_of(status), HasSubstr("has not ended"));
  }
  EXPECT_EQ(rows(), before);
}

TEST_F(JobRemovalTest, LateDataOfARemovedJobIsFenced) {
  const JobId job = full_job("aaaaaaaaaa", v1::JOB_STATE_FAILED);
  ASSERT_TRUE(store().jobs().remove(job).ok());
  const auto late = store().events().append_text({{job, 2}, 0, StreamKind::kStdout}, 0, "late", 1);
  ASSERT_TRUE(late.ok());
  EXPECT_EQ(late->result, Applied::Result::kFenced);
}

TEST_F(JobRemovalTest, FinishedJobsComeInTheOrderOfTheirEnd) {
  full_job("aaaaaaaaaa", v1::JOB_STATE_SUCCEEDED, 300);
  full_job("bbbbbbbbbb", v1::JOB_STATE_RUNNING);
  const JobId first = full_job("cccccccccc", v1::JOB_STATE_FAILED, 200);
  ASSERT_TRUE(store().jobs().label(first, {.tags = {{"keep", "true"}}}).ok());
  const auto jobs = *store().jobs().finished();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].id, first);
  EXPECT_TRUE(jobs[0].kept);
  EXPECT_FALSE(jobs[1].kept);
  EXPECT_EQ(jobs[1].checkpoint_bytes, 16);
  EXPECT_EQ(jobs[1].output_bytes, 6);
  EXPECT_EQ(jobs[1].point_bytes, 150);
  ASSERT_TRUE(store().jobs().label(first, {.tags = {{"keep", "No"}}}).ok());
  EXPECT_FALSE((*store().jobs().finished())[0].kept);
}

TEST_F(JobRemovalTest, OutputGoesAloneAndIsNotCountedAgain) {
  const JobId job = full_job("aaaaaaaaaa", v1::JOB_STATE_STOPPED, 1);
  ASSERT_EQ(text_of(store().jobs().remove_output(job)), "OK");
  EXPECT_THAT(store().events().read_text({.job = job})->chunks, IsEmpty());
  EXPECT_EQ((*store().jobs().finished())[0].output_bytes, 0);
  EXPECT_FALSE(steps_of(store(), job).empty());
}

TEST_F(JobRemovalTest, TrimKeepsLastBestAndWhatAResumeNeeds) {
  const auto names = [&](const JobId& job) {
    std::vector<std::string> left;
    const auto rows = *store().checkpoints().list(job);
    for (const CheckpointRow& row : rows) {
      left.push_back(row.written.name());
    }
    return left;
  };
  const auto make = [&](std::string_view id, v1::JobState state) {
    const JobId job = add_job(store(), id);
    start_attempt(store(), job, 1);
    const std::tuple<int, std::string, bool> files[] = {
        {1, "a.ckpt", true}, {2, "b.ckpt", true}, {3, "c.ckpt", false}};
    for (const auto& [step, name, best] : files) {
      Manifest manifest = manifest_of({{job, 1}, step, v1::CHECKPOINT_KIND_MODEL, name});
      manifest.written.set_is_best(best);
      manifest.written.set_monitor("loss");
      put_chunks(store(), "the state in " + AttemptId{job, 1}.str() + "/" + name);
      EXPECT_EQ(text_of(store().checkpoints().commit(manifest).status()), "OK");
    }
    EXPECT_TRUE(upload(store(), {{job, 1}, 4, v1::CHECKPOINT_KIND_RECOVERY, "r.ckpt"}).ok());
    set_state(job, state, 1);
    return job;
  };
  const JobId done = make("aaaaaaaaaa", v1::JOB_STATE_SUCCEEDED);
  const JobId failed = make("bbbbbbbbbb", v1::JOB_STATE_FAILED);
  const std::int64_t spare = (*store().jobs().finished())[0].spare_checkpoint_bytes;
  EXPECT_EQ(*store().checkpoints().trim(done), spare);
  EXPECT_THAT(names(done), ElementsAre("b.ckpt"));
  EXPECT_TRUE(store().checkpoints().trim(failed).ok());
  EXPECT_THAT(names(failed), ElementsAre("b.ckpt", "r.ckpt"));
  EXPECT_EQ(store().checkpoints().newest(failed)->written.name(), "r.ckpt");
  EXPECT_EQ(*store().checkpoints().trim(failed), 0) << "again there is nothing to drop";
  EXPECT_EQ(text_of(store().check_integrity()), "OK");
}

}  // namespace
}  // namespace lctl::storage
