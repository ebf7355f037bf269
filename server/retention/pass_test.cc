#include "server/retention/pass.h"

#include <chrono>

#include "storage/maintenance/maintenance.h"
#include "storage/testing/store_fixture.h"

namespace lctl::retention {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using storage::JobChange;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class RetentionPassTest : public storage::StoreTest {
 protected:
  RetentionPass make_pass(const Rules& rules) {
    return RetentionPass(
        {.rules = rules, .store = store(), .clock = clock_, .remove_job = [this](const JobId& job) {
           asked_.push_back(job.str());
           return store().jobs().remove(job).status();
         }});
  }
  // A job with 100,000 bytes of output that ends now.
  JobId ended_job(std::string_view id) {
    const JobId job = storage::add_job(store(), id);
    storage::start_attempt(store(), job, 1);
    EXPECT_TRUE(store()
                    .events()
                    .append_text({{job, 1}, 0, storage::StreamKind::kStdout}, 0,
                                 std::string(100'000, 'x'), 1)
                    .ok());
    v1::Job row = *store().jobs().get(job);
    row.set_state(v1::JOB_STATE_SUCCEEDED);
    row.set_finished_us(unix_micros(clock_.wall_now()));
    const JobChange change{.job = row};
    EXPECT_TRUE(store().jobs().record({&change, 1}).ok());
    return job;
  }

  std::vector<std::string> asked_;  // whole jobs
};

TEST_F(RetentionPassTest, WithoutRulesItNeverWakes) {
  EXPECT_EQ(make_pass({}).next_deadline(), std::nullopt);
}

TEST_F(RetentionPassTest, JobsGoWhenTheirAgeIsOver) {
  ended_job("aaaaaaaaaa");
  RetentionPass pass = make_pass({.keep_jobs = hours(1)});
  EXPECT_EQ(*pass.next_deadline() - clock_.monotonic_now(), minutes(1));
  clock_.advance(minutes(1));
  pass.advance();
  EXPECT_THAT(asked_, IsEmpty());
  clock_.advance(hours(1));
  pass.advance();
  EXPECT_THAT(asked_, ElementsAre("aaaaaaaaaa"));
  EXPECT_EQ(*pass.next_deadline() - clock_.monotonic_now(), minutes(10));
}

TEST_F(RetentionPassTest, DryRunTellsTheSameAndRemovesNothing) {
  const JobId job = ended_job("aaaaaaaaaa");
  clock_.advance(hours(2));
  RetentionPass pass = make_pass({.keep_logs = hours(1)});
  ASSERT_THAT(*pass.run(/*dry_run=*/true), SizeIs(1));
  EXPECT_THAT(store().events().read_text({.job = job})->chunks, SizeIs(1));
  ASSERT_THAT(*pass.run(/*dry_run=*/false), SizeIs(1));
  EXPECT_THAT(store().events().read_text({.job = job})->chunks, IsEmpty());
  EXPECT_THAT(*pass.run(/*dry_run=*/false), IsEmpty()) << "nothing is left to take";
}

TEST_F(RetentionPassTest, StoreShrinksToItsSizeAndNotFurther) {
  for (const char* id : {"aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"}) {
    ended_job(id);
    clock_.advance(minutes(1));
  }
  const std::int64_t before = *store().maintenance().used_bytes();
  const auto done = make_pass({.max_store_bytes = before - 150'000}).run(/*dry_run=*/false);
  ASSERT_THAT(*done, SizeIs(2));
  EXPECT_EQ((*done)[0].job.str(), "aaaaaaaaaa");
  EXPECT_EQ((*done)[1].job.str(), "bbbbbbbbbb");
  EXPECT_LE(*store().maintenance().used_bytes(), before - 150'000)
      << "free pages of the database do not count";
  EXPECT_THAT(asked_, IsEmpty());
}

}  // namespace
}  // namespace lctl::retention
